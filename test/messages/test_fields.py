# SPDX-License-Identifier: Apache-2.0
"""Every field of the package's messages is filled by somebody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from support.poses import random_person

from pose3d_ros.messages import SkeletonBuilder
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.resources import folder
from pose3d_ros.types import EstimatorInfo, TrackingState

OURS = tuple(f'pose3d_ros/msg/{path.stem}' for path in folder('msg').glob('*.msg'))


def messages(types: StandaloneTypes) -> list[Any]:
    """What a camera with somebody in view publishes."""
    pose = random_person(
        np.random.default_rng(0),
        track_id=3,
        tracking_state=TrackingState.TRACKED,
        bone_quality=0.8,
        height_m=1.7,
        velocity=np.array([0.1, 0.2, 0.3]),
    )
    builder = SkeletonBuilder(types)
    stamp: dict[str, Any] = {'stamp_ns': 12_000_000_034, 'frame_id': 'cam'}
    info = EstimatorInfo('model', 'version', 'backend', 'device', 'f32', metric=True)
    return [
        builder.array([pose], size=(640, 480), convention=pose.skeleton.name, **stamp),
        builder.info(pose.skeleton, info, tf_prefix='people_', **stamp),
    ]


def own(types: StandaloneTypes, message: Any) -> Iterator[Any]:
    """The message and those of this package within it."""
    yield message
    for field, (kind, detail) in types.store.fielddefs[message.__msgtype__][1]:
        many = kind in (Nodetype.ARRAY, Nodetype.SEQUENCE)
        name = detail[0][1] if many else detail
        if name in OURS:
            for inner in getattr(message, field) if many else [getattr(message, field)]:
                yield from own(types, inner)


def unfilled(types: StandaloneTypes) -> set[tuple[str, str]]:
    """Message and field of what nobody sets to another value than the default."""
    left = {(name, field) for name in OURS for field, _ in types.store.fielddefs[name][1]}
    for message in messages(types):
        for part in own(types, message):
            name, blank = part.__msgtype__, types(part.__msgtype__)()
            left -= {
                (name, field)
                for field, _ in types.store.fielddefs[name][1]
                if repr(getattr(part, field)) != repr(getattr(blank, field))
            }
    return left


def test_every_field_is_filled() -> None:
    assert OURS
    assert unfilled(StandaloneTypes()) == set()


def test_a_field_that_nobody_fills_is_noticed() -> None:
    types = StandaloneTypes()
    for name in ('pose3d_ros/msg/Joint3D', 'pose3d_ros/msg/EstimatorInfo'):
        types.store.fielddefs[name][1].append(('forgotten', (Nodetype.BASE, ('float32', 0))))
    assert unfilled(types) == {
        ('pose3d_ros/msg/Joint3D', 'forgotten'),
        ('pose3d_ros/msg/EstimatorInfo', 'forgotten'),
    }
