# SPDX-License-Identifier: Apache-2.0
from support.poses import person

from pose3d_ros.drawing import style
from pose3d_ros.types import PositionSource


def test_ids_have_colours_and_those_without_are_grey():
    colours = {style.track_colour(k) for k in range(1, 1 + len(style.PALETTE))}
    assert len(colours | {style.LEFT, style.RIGHT, style.UNTRACKED}) == len(style.PALETTE) + 3
    assert style.track_colour(1 + len(style.PALETTE)) == style.track_colour(1)
    assert style.track_colour(0) == style.UNTRACKED
    assert style.side_colour('left', 3) == style.LEFT != style.side_colour('right', 3)
    assert style.side_colour('mid', 3) == style.track_colour(3)


def test_label_tells_id_and_distance():
    assert style.label_of(person(track_id=4, at=(0, 0, 2.5))) == '#4  2.5 m'
    relative = person(track_id=4, at=(0, 0, 0), position_source=PositionSource.RELATIVE)
    assert style.label_of(relative) == '#4'
    assert style.label_of(relative.replace(track_id=0)) == ''
