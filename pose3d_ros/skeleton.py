# SPDX-License-Identifier: Apache-2.0
"""Joint conventions: names, tree, mirror pairs, and conversion by name.

Left and right are the person's own. A name alone can mislead: OpenPose's "neck" is the middle of
the shoulders, Human3.6M's is the base of the skull. Such joints carry a meaning beside the name,
and conversion goes by meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType

from .errors import ConfigError

# Joints that may be made as the mean of two others when the source lacks them.
MEANS = {
    'pelvis': ('left_hip', 'right_hip'),
    'mid_shoulder': ('left_shoulder', 'right_shoulder'),
}
StandIns = Mapping[str, tuple[tuple[str, ...], ...]]
"""Meaning of a joint -> what serves for it, best first: joints by meaning whose mean is taken."""
_OWN_OR_MEAN: StandIns = {joint: ((joint,), parts) for joint, parts in MEANS.items()}
TOES: StandIns = {
    f'{side}_toe': ((f'{side}_toe',), (f'{side}_foot_index',), (f'{side}_big_toe',))
    for side in ('left', 'right')
}
"""Balls of the feet, and what is near them."""


@dataclass(frozen=True)
class Skeleton:
    """A joint convention.

    names: joint k of every (J, ...) array. parents: index of the parent joint, -1 for a joint
    without one (conventions without a pelvis are forests). root: the joints whose mean is the
    origin of root-relative poses. edges: the lines to draw. meanings: for joints whose name means
    something else in other conventions. computed: joints that the convention defines as the middle
    of two others. about: where it comes from, for the documentation.
    """

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    root: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]
    meanings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    computed: tuple[str, ...] = ()
    about: str = ''

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
    computed: str = '',
    about: str = '',
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
        computed=tuple(computed.split()),
        about=about,
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
        about='MediaPipe Pose. Root: the middle of `left_hip` and `right_hip`. `index`, `pinky` '
        'and `thumb` are knuckles, `foot_index` is the big toe.',
    ),
    _skeleton(
        'coco_17',
        'nose: left_eye:nose right_eye:nose left_ear:left_eye right_ear:right_eye '
        f'left_shoulder:left_hip right_shoulder:right_hip {_LIMBS} {_LEGS}',
        root='left_hip right_hip',
        edges='0-1 0-2 1-3 2-4 5-6 5-7 7-9 6-8 8-10 5-11 6-12 11-12 11-13 13-15 12-14 14-16',
        about='COCO key points. Root: the middle of the hips.',
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
        about='Halpe body and feet, of RTMPose models. Root: the pelvis joint.',
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
        computed='neck pelvis',
        about="CMU Panoptic order with COCO names, of Open Model Zoo's `human-pose-"
        'estimation-3d-0001`. Root: `pelvis`.',
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
        computed='neck body_center',
        about='CMU Panoptic. The same joints as `coco_cmu_19`; the pelvis is called '
        '`body_center`. Root: `body_center`.',
    ),
    _skeleton(
        'h36m_17',
        'pelvis: right_hip:pelvis right_knee:right_hip right_ankle:right_knee left_hip:pelvis '
        'left_knee:left_hip left_ankle:left_knee spine:pelvis thorax:spine neck:thorax head:neck '
        'left_shoulder:thorax left_elbow:left_shoulder left_wrist:left_elbow '
        'right_shoulder:thorax right_elbow:right_shoulder right_wrist:right_elbow',
        root='pelvis',
        meanings={'neck': 'skull_base', 'head': 'head_top'},
        about='Human3.6M. Root: `pelvis`.',
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
        about="Of the package's own lifter: the joints of `h36m_17`, as CMU's motion capture has "
        'them, nose, ears, and the balls of the feet. Root: `pelvis`.',
    ),
    _skeleton(
        'mpii_16',
        'right_ankle:right_knee right_knee:right_hip right_hip:pelvis left_hip:pelvis '
        'left_knee:left_hip left_ankle:left_knee pelvis: thorax:pelvis upper_neck:thorax '
        'head_top:upper_neck right_wrist:right_elbow right_elbow:right_shoulder '
        'right_shoulder:thorax left_shoulder:thorax left_elbow:left_shoulder '
        'left_wrist:left_elbow',
        root='pelvis',
        about='MPII. Root: `pelvis`.',
    ),
    _skeleton(
        'cpm_14',
        'head_top:neck neck: right_shoulder:neck right_elbow:right_shoulder '
        'right_wrist:right_elbow left_shoulder:neck left_elbow:left_shoulder '
        'left_wrist:left_elbow right_hip:neck right_knee:right_hip right_ankle:right_knee '
        'left_hip:neck left_knee:left_hip left_ankle:left_knee',
        root='right_hip left_hip',
        meanings={'neck': 'upper_neck'},
        about='Convolutional Pose Machines. Root: the middle of the hips.',
    ),
    _skeleton(
        'openpose_18',
        'nose:neck neck: right_shoulder:neck right_elbow:right_shoulder right_wrist:right_elbow '
        'left_shoulder:neck left_elbow:left_shoulder left_wrist:left_elbow right_hip:neck '
        'right_knee:right_hip right_ankle:right_knee left_hip:neck left_knee:left_hip '
        'left_ankle:left_knee right_eye:nose left_eye:nose right_ear:right_eye left_ear:left_eye',
        root='right_hip left_hip',
        meanings={'neck': 'mid_shoulder'},
        computed='neck',
        about='OpenPose, COCO body model. Root: the middle of the hips.',
    ),
    _skeleton(
        'body_25',
        'nose:neck neck:pelvis right_shoulder:neck right_elbow:right_shoulder '
        'right_wrist:right_elbow left_shoulder:neck left_elbow:left_shoulder '
        'left_wrist:left_elbow pelvis: right_hip:pelvis right_knee:right_hip '
        'right_ankle:right_knee left_hip:pelvis left_knee:left_hip left_ankle:left_knee '
        'right_eye:nose left_eye:nose right_ear:right_eye left_ear:left_eye '
        'left_big_toe:left_ankle left_small_toe:left_ankle left_heel:left_ankle '
        'right_big_toe:right_ankle right_small_toe:right_ankle right_heel:right_ankle',
        root='pelvis',
        meanings={'neck': 'mid_shoulder'},
        computed='neck pelvis',
        about='OpenPose, its usual model, with feet. Root: `pelvis`, there called MidHip.',
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


def joint_map(
    source: Skeleton,
    meanings: Iterable[str],
    stand_ins: StandIns = _OWN_OR_MEAN,
    *,
    computed: bool = True,
) -> tuple[tuple[int, ...], ...]:
    """For each meaning the source's joints whose mean it is; empty: it has none.

    stand_ins: what serves for a meaning; for those not named there, only a joint of that meaning.
    computed: joints that are the middle of two others serve, else those two do.
    """
    index = {
        meaning: k
        for meaning, k in source.by_meaning.items()
        if computed or source.names[k] not in source.computed
    }
    table = []
    for meaning in meanings:
        ways = stand_ins.get(meaning, ((meaning,),))
        parts = next((way for way in ways if all(part in index for part in way)), ())
        table.append(tuple(index[part] for part in parts))
    return tuple(table)


@lru_cache(maxsize=64)
def conversion(source: Skeleton, target: Skeleton) -> tuple[tuple[int, ...], ...]:
    """For each target joint the source joints whose mean it is: one, two, or none (missing)."""
    return joint_map(source, target.by_meaning)
