# SPDX-License-Identifier: Apache-2.0
"""Settings that a node adds to the pipeline's: topics, transforms, markers, failures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import ConfigError
from .declare import Setting, Value, setting, settings_of
from .estimators import ESTIMATORS, options_of
from .pipeline import PipelineConfig

MARKER_TEXTS = ('id', 'distance', 'height', 'score')


@dataclass(frozen=True)
class NodeConfig(PipelineConfig):
    """Everything that decides what a node does; see PipelineConfig for the estimation itself."""

    finder_in_step: bool = setting(
        False,
        'true: each search for people is of the image at hand, which waits for it; false: it runs '
        'beside, and people whom it finds appear a few images late',
        live=True,
    )
    cameras: str = setting(
        '',
        'names of several cameras that share the model, comma-separated: topics <name>/image, '
        '<name>/camera_info in and ~/<name>/skeletons ... out; empty: one camera, without prefix',
    )
    image_transport: str = setting(
        'raw',
        'compressed: subscribe to <image>/compressed (JPEG, PNG) instead of <image>',
        choices=('raw', 'compressed'),
    )
    reliability: str = setting(
        'auto',
        'QoS of images and depth images: auto: reliable while every publisher of the topic is, '
        'else best effort; qos_overrides come before it',
        choices=('auto', 'reliable', 'best_effort'),
    )
    person_class: str = setting(
        'person,0',
        'class_id of people in vision_msgs/Detection2DArray on <camera>/detections, '
        'comma-separated; read when finder is topic',
    )
    keypoints_wait_s: float = setting(
        0.1,
        'with keypoints from a topic: an image waits so long for those of its own stamp',
        low=0,
        high=1,
        live=True,
    )
    keypoints_tolerance_s: float = setting(
        0.05,
        'keypoints of another stamp serve an image if they are so near; 0: only its own',
        low=0,
        high=1,
        live=True,
    )
    depth_transport: str = setting(
        'none',
        'raw: a depth image on <camera>/depth_image, registered to the image, tells how far away '
        'people are; compressed: on <depth_image>/compressedDepth',
        choices=('none', 'raw', 'compressed'),
    )
    depth_wait_s: float = setting(
        0.05,
        'with depth images: an image waits so long for the one of its own stamp',
        low=0,
        high=1,
        live=True,
    )
    depth_tolerance_s: float = setting(
        0.05,
        'a depth image of another stamp serves an image if it is so near; 0: only its own',
        low=0,
        high=1,
        live=True,
    )
    camera_frame: str = setting('', 'frame_id for images that come without one')
    image_frame: str = setting(
        'optical',
        'what frame_id of images is: optical: an optical frame (z forward); body: the body frame '
        'of the camera (x forward, z up), results are in it; else the name of the optical frame '
        'to take in its place',
    )
    target_frame: str = setting(
        '', "publish in this frame, transformed at the image's stamp; empty: the camera's"
    )
    gravity_frame: str = setting(
        '',
        'a frame whose z axis points up, as base_link of a robot on flat floor or odom: tells '
        'estimators how the camera is tilted; empty: unknown',
    )
    floor_frame: str = setting(
        '',
        'a frame whose z axis points up and whose origin lies on the floor, as base_footprint: '
        'feet on the floor tell how far away people are (floor: tf or auto); empty: unknown',
    )
    tf_timeout_s: float = setting(
        0.5,
        'a finished image waits so long for the transform to target_frame or marker_frame; those '
        'behind it go on being processed',
        low=0,
        high=10,
        live=True,
    )
    tf_late: str = setting(
        'wait',
        'an image whose transform to target_frame does not come in time: wait: is lost, with a '
        'warning; newest: takes the newest transform, with more uncertainty; camera_frame: is '
        "published in the camera's frame",
        choices=('wait', 'newest', 'camera_frame'),
        live=True,
    )
    tf_max_age_s: float = setting(
        1.0,
        'the newest transform serves with tf_late newest, and for gravity_frame and floor_frame, '
        'if it is at most so old',
        low=0,
        high=60,
        live=True,
    )

    autostart: bool = setting(True, 'configure and activate by itself')
    enabled: bool = setting(True, 'process images; false: pause, the model stays loaded', live=True)
    always_on: bool = setting(False, 'process images even if nobody listens', live=True)
    drop_policy: str = setting(
        'newest',
        'newest: a waiting image is replaced by a newer one; none: every image in its order',
        choices=('newest', 'none'),
    )
    queue_size: int = setting(
        100, 'images that may wait with drop_policy none; later ones are lost', low=1, high=10000
    )
    max_failures: int = setting(
        10, 'failed inferences in a row after which the node gives up', low=1, high=10000, live=True
    )

    publish_markers: bool = setting(True, 'offer ~/markers (built when subscribed)', live=True)
    marker_frame: str = setting(
        'auto',
        'frame of the markers; auto: map, odom, base_footprint or base_link, the first that '
        "transforms connect with the camera, else the skeletons'; empty: always the skeletons'",
        live=True,
    )
    marker_lifetime_s: float = setting(
        2.0, 'markers disappear when not renewed for so long; 0: never', low=0, high=60, live=True
    )
    marker_scale_m: float = setting(0.04, 'diameter of a joint', low=0.001, high=1, live=True)
    marker_text: str = setting(
        'id,distance,height',
        'what is written above each person, of id, distance, height (where it is known) and score, '
        'comma-separated; empty: nothing',
        live=True,
    )
    marker_uncertainty: str = setting(
        'root',
        'ellipsoids of one standard deviation: root: one around each person; joints: around every '
        'joint; none',
        choices=('none', 'root', 'joints'),
        live=True,
    )
    publish_debug_image: bool = setting(
        True, 'offer ~/debug_image, the image with skeletons (drawn when subscribed)', live=True
    )

    publish_tf: bool = setting(
        False, 'broadcast transforms of people with an absolute position', live=True
    )
    tf_joints: str = setting(
        'root',
        'root: body_<slot> (REP-155); all: every joint, parented to it; none: no transforms',
        choices=('none', 'root', 'all'),
        live=True,
    )
    tf_max_people: int = setting(5, 'slots, hence sets of frame names, at most', low=1, high=100)
    tf_prefix: str = setting('', 'put in front of every frame name that is broadcast')

    diagnostics_period_s: float = setting(1.0, 'period of /diagnostics', low=0.1, high=60)
    latency_warn_ms: float = setting(
        200.0, 'warn when stamp to publication takes longer (95th percentile)', low=0, live=True
    )
    input_timeout_s: float = setting(
        2.0, 'error when no image came for so long', low=0.1, high=3600, live=True
    )
    min_rate_hz: float = setting(
        0.0, 'warn when skeletons come at a lower rate; 0: any rate will do', low=0, live=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.camera_names
        for name in names:
            if name and not re.fullmatch(r'[A-Za-z][A-Za-z0-9_]*', name):
                raise ConfigError(
                    f'cameras: {name!r} is not a name (letters, digits, _; a letter first)'
                )
        if len(set(names)) < len(names):
            raise ConfigError(f'cameras: a name stands twice in {self.cameras!r}')
        if not self.image_frame:
            raise ConfigError('image_frame must be optical, body or the name of a frame')
        for part in self.marker_text_parts:
            if part not in MARKER_TEXTS:
                raise ConfigError(f'marker_text: {part!r} is none of {", ".join(MARKER_TEXTS)}')

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras; one empty name for a single camera."""
        return tuple(name.strip() for name in self.cameras.split(','))

    @property
    def input_frames(self) -> tuple[str, ...]:
        """Frames that transforms must reach for what goes into the estimation."""
        return tuple(name for name in (self.gravity_frame, self.floor_frame) if name)

    @property
    def marker_text_parts(self) -> tuple[str, ...]:
        """What marker_text chooses."""
        return tuple(part.strip() for part in self.marker_text.split(',') if part.strip())


def node_settings(estimators: Sequence[str] = tuple(ESTIMATORS)) -> Iterator[Setting]:
    """All settings of a node in order, those of the estimators as `<estimator>.<name>`."""
    yield from settings_of(NodeConfig)
    for name in estimators:
        yield from settings_of(options_of(name), prefix=f'{name}.')


def value_of(config: PipelineConfig, name: str) -> Value:
    """The value of a setting, `<estimator>.<name>` included."""
    estimator, _, option = name.rpartition('.')
    if not estimator:
        value: Value = getattr(config, name)
        return value
    if estimator == config.estimator and option in config.options:
        return config.options[option]
    return next(s.default for s in settings_of(options_of(estimator)) if s.name == option)


# Settings that do nothing as long as another one has that value.
_IDLE_WITH: dict[str, tuple[str, Value]] = {
    'depth_wait_s': ('depth_transport', 'none'),
    'depth_tolerance_s': ('depth_transport', 'none'),
    'queue_size': ('drop_policy', 'newest'),
    'tf_late': ('target_frame', ''),
}


def idle_settings(config: NodeConfig) -> list[str]:
    """Lines about settings that were changed and have no effect."""
    own = {item.name: item.default for item in settings_of(NodeConfig)}
    return [
        f'{name}: {getattr(config, name)} has no effect with {other}: {value!r}'
        for name, (other, value) in _IDLE_WITH.items()
        if getattr(config, name) != own[name] and getattr(config, other) == value
    ]


def fixed_changes(old: PipelineConfig, new: PipelineConfig) -> list[str]:
    """Names of the settings that differ and may not change while the node runs."""
    settings = list(settings_of(type(new)))
    if old.estimator == new.estimator:
        settings += settings_of(options_of(new.estimator), prefix=f'{new.estimator}.')
    return [
        s.name for s in settings if not s.live and value_of(old, s.name) != value_of(new, s.name)
    ]
