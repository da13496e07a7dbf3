# SPDX-License-Identifier: Apache-2.0
"""Joint conventions: names, tree, mirror pairs, and conversion by name.

Left and right are the person's own. A name alone can mislead: OpenPose's "neck" is the middle of
the shoulders, Human3.6M's is the base of the skull. Such joints carry a meaning beside the name,
and conversion goes by meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType

from .errors import ConfigError

# Joints that may be made as the mean of two others when the source lacks them.
MEANS = {
    'pelvis': ('left_hip', 'right_hip'),
    'mid_shoulder': ('left_shoulder', 'right_shoulder'),
}


@dataclass(frozen=True)
class Skeleton:
    """A joint convention.

    names: joint k of every (J, ...) array. parents: index of the parent joint, -1 for a joint
    without one (conventions without a pelvis are forests). root: the joints whose mean is the
    origin of root-relative poses. edges: the lines to draw. meanings: for joints whose name means
    something else in other conventions.
    """

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    root: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]
    meanings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Index of the joint of that name; ConfigError if there is none."""
        try:
            return self.names.index(name)
        except ValueError:
            raise ConfigError(
                f'{self.name} has no joint {name!r}: {", ".join(self.names)}'
            ) from None

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """Permutation that swaps left and right: mirrored[k] = joints[mirror[k]]."""
        return tuple(self.index(_other_side(name)) for name in self.names)

    @cached_property
    def by_meaning(self) -> dict[str, int]:
        """Joint index for each meaning, the name itself where no other is given."""
        return {self.meanings.get(name, name): k for k, name in enumerate(self.names)}


def _other_side(name: str) -> str:
    parts = name.split('_')
    return '_'.join({'left': 'right', 'right': 'left'}.get(part, part) for part in parts)


def _skeleton(
    name: str,
    tree: str,
    root: str,
    edges: str = '',
    meanings: Mapping[str, str] | None = None,
) -> Skeleton:
    """Build from 'joint:parent joint:parent ...'; edges default to the tree's."""
    pairs = [item.partition(':')[::2] for item in tree.split()]
    names = tuple(joint for joint, _ in pairs)
    parents = tuple(names.index(parent) if parent else -1 for _, parent in pairs)
    if edges:
        lines = [tuple(int(v) for v in item.split('-')) for item in edges.split()]
    else:
        lines = [(parent, joint) for joint, parent in enumerate(parents) if parent >= 0]
    return Skeleton(
        name=name,
        names=names,
        parents=parents,
        root=tuple(names.index(joint) for joint in root.split()),
        edges=tuple((a, b) for a, b in lines),
        meanings=MappingProxyType(dict(meanings or {})),
    )


_LIMBS = (
    'left_elbow:left_shoulder right_elbow:right_shoulder left_wrist:left_elbow '
    'right_wrist:right_elbow'
)
_LEGS = (
    'left_hip: right_hip: left_knee:left_hip right_knee:right_hip left_ankle:left_knee '
    'right_ankle:right_knee'
)

_ALL = (
    _skeleton(
        'blazepose_33',
        'nose: left_eye_inner:nose left_eye:left_eye_inner left_eye_outer:left_eye '
        'right_eye_inner:nose right_eye:right_eye_inner right_eye_outer:right_eye '
        'left_ear:left_eye_outer right_ear:right_eye_outer mouth_left:nose mouth_right:nose '
        'left_shoulder:left_hip right_shoulder:right_hip '
        f'{_LIMBS} '
        'left_pinky:left_wrist right_pinky:right_wrist left_index:left_wrist '
        'right_index:right_wrist left_thumb:left_wrist right_thumb:right_wrist '
        f'{_LEGS} '
        'left_heel:left_ankle right_heel:right_ankle left_foot_index:left_ankle '
        'right_foot_index:right_ankle',
        root='left_hip right_hip',
        edges='0-1 1-2 2-3 3-7 0-4 4-5 5-6 6-8 9-10 11-12 11-13 13-15 15-17 15-19 15-21 17-19 '
        '12-14 14-16 16-18 16-20 16-22 18-20 11-23 12-24 23-24 23-25 24-26 25-27 26-28 27-29 '
        '28-30 29-31 30-32 27-31 28-32',
    ),
    _skeleton(
        'coco_17',
        'nose: left_eye:nose right_eye:nose left_ear:left_eye right_ear:right_eye '
        f'left_shoulder:left_hip right_shoulder:right_hip {_LIMBS} {_LEGS}',
        root='left_hip right_hip',
        edges='0-1 0-2 1-3 2-4 5-6 5-7 7-9 6-8 8-10 5-11 6-12 11-12 11-13 13-15 12-14 14-16',
    ),
    _skeleton(
        'halpe_26',
        'nose:neck left_eye:nose right_eye:nose left_ear:left_eye right_ear:right_eye '
        f'left_shoulder:neck right_shoulder:neck {_LIMBS} left_hip:pelvis right_hip:pelvis '
        'left_knee:left_hip right_knee:right_hip left_ankle:left_knee right_ankle:right_knee '
        'head:neck neck:pelvis pelvis: left_big_toe:left_ankle right_big_toe:right_ankle '
        'left_small_toe:left_ankle right_small_toe:right_ankle left_heel:left_ankle '
        'right_heel:right_ankle',
        root='pelvis',
        meanings={'head': 'head_top', 'neck': 'mid_shoulder'},
    ),
    _skeleton(
        'coco_cmu_19',
        'neck:pelvis nose:neck pelvis: left_shoulder:neck left_elbow:left_shoulder '
        'left_wrist:left_elbow left_hip:pelvis left_knee:left_hip left_ankle:left_knee '
        'right_shoulder:neck right_elbow:right_shoulder right_wrist:right_elbow '
        'right_hip:pelvis right_knee:right_hip right_ankle:right_knee '
        'left_eye:nose left_ear:left_eye right_eye:nose right_ear:right_eye',
        root='pelvis',
        meanings={'neck': 'mid_shoulder'},
    ),
    _skeleton(
        'panoptic_19',
        'neck:body_center nose:neck body_center: left_shoulder:neck left_elbow:left_shoulder '
        'left_wrist:left_elbow left_hip:body_center left_knee:left_hip left_ankle:left_knee '
        'right_shoulder:neck right_elbow:right_shoulder right_wrist:right_elbow '
        'right_hip:body_center right_knee:right_hip right_ankle:right_knee '
        'left_eye:nose left_ear:left_eye right_eye:nose right_ear:right_eye',
        root='body_center',
        meanings={'neck': 'mid_shoulder', 'body_center': 'pelvis'},
    ),
    _skeleton(
        'h36m_17',
        'pelvis: right_hip:pelvis right_knee:right_hip right_ankle:right_knee left_hip:pelvis '
        'left_knee:left_hip left_ankle:left_knee spine:pelvis thorax:spine neck:thorax head:neck '
        'left_shoulder:thorax left_elbow:left_shoulder left_wrist:left_elbow '
        'right_shoulder:thorax right_elbow:right_shoulder right_wrist:right_elbow',
        root='pelvis',
        meanings={'neck': 'skull_base', 'head': 'head_top'},
    ),
    _skeleton(
        'cmu_22',
        'pelvis: right_hip:pelvis right_knee:right_hip right_ankle:right_knee left_hip:pelvis '
        'left_knee:left_hip left_ankle:left_knee spine:pelvis thorax:spine neck:thorax head:neck '
        'left_shoulder:thorax left_elbow:left_shoulder left_wrist:left_elbow '
        'right_shoulder:thorax right_elbow:right_shoulder right_wrist:right_elbow '
        'nose:neck left_ear:neck right_ear:neck left_toe:left_ankle right_toe:right_ankle',
        root='pelvis',
        meanings={'neck': 'skull_base', 'head': 'head_top'},
    ),
    _skeleton(
        'mpii_16',
        'right_ankle:right_knee right_knee:right_hip right_hip:pelvis left_hip:pelvis '
        'left_knee:left_hip left_ankle:left_knee pelvis: thorax:pelvis upper_neck:thorax '
        'head_top:upper_neck right_wrist:right_elbow right_elbow:right_shoulder '
        'right_shoulder:thorax left_shoulder:thorax left_elbow:left_shoulder '
        'left_wrist:left_elbow',
        root='pelvis',
    ),
    _skeleton(
        'cpm_14',
        'head_top:neck neck: right_shoulder:neck right_elbow:right_shoulder '
        'right_wrist:right_elbow left_shoulder:neck left_elbow:left_shoulder '
        'left_wrist:left_elbow right_hip:neck right_knee:right_hip right_ankle:right_knee '
        'left_hip:neck left_knee:left_hip left_ankle:left_knee',
        root='right_hip left_hip',
        meanings={'neck': 'upper_neck'},
    ),
    _skeleton(
        'openpose_18',
        'nose:neck neck: right_shoulder:neck right_elbow:right_shoulder right_wrist:right_elbow '
        'left_shoulder:neck left_elbow:left_shoulder left_wrist:left_elbow right_hip:neck '
        'right_knee:right_hip right_ankle:right_knee left_hip:neck left_knee:left_hip '
        'left_ankle:left_knee right_eye:nose left_eye:nose right_ear:right_eye left_ear:left_eye',
        root='right_hip left_hip',
        meanings={'neck': 'mid_shoulder'},
    ),
)

SKELETONS: Mapping[str, Skeleton] = MappingProxyType({s.name: s for s in _ALL})


def get_skeleton(name: str) -> Skeleton:
    """The convention of that name; ConfigError lists those that exist."""
    try:
        return SKELETONS[name]
    except KeyError:
        raise ConfigError(
            f'skeleton {name!r} is unknown; choose one of {", ".join(SKELETONS)}'
        ) from None


@lru_cache(maxsize=64)
def conversion(source: Skeleton, target: Skeleton) -> tuple[tuple[int, ...], ...]:
    """For each target joint the source joints whose mean it is: one, two, or none (missing)."""
    table = []
    for meaning in target.by_meaning:
        parts = [meaning] if meaning in source.by_meaning else MEANS.get(meaning, ())
        found = tuple(source.by_meaning[p] for p in parts if p in source.by_meaning)
        table.append(found if len(found) == len(parts) else ())
    return tuple(table)
