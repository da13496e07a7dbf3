# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from toy_models import NOTICE, WEIGHTS, digest, entry, file_entry

from pose3d_ros.zoo import FileEntry, Npm
from pose3d_ros.zoo.pool import ASIDE, copy_of, set_aside, taken, wanted_by_others

SHARED = Npm('shared@1.0.0', 10, 'a' * 64)
OTHER = Npm('other@1.0.0', 10, 'b' * 64)
MINE = entry('mine', npm=SHARED, net=file_entry('a.onnx', WEIGHTS, npm='models/a.onnx'))
YOURS = entry('yours', npm=SHARED, net=file_entry('b.onnx', NOTICE, npm='models/b.onnx'))
ELSE = entry('else', npm=OTHER, net=file_entry('c.onnx', NOTICE, npm='models/c.onnx'))
KNOWN = {item.name: item for item in (MINE, YOURS, ELSE)}


def test_what_other_models_want(tmp_path: Path) -> None:
    yours = YOURS.files['net']
    assert wanted_by_others(SHARED, MINE, tmp_path, KNOWN) == {'models/b.onnx': yours}
    # It is here already, as another model's.
    (tmp_path / 'else').mkdir()
    (tmp_path / 'else' / 'c.onnx').write_bytes(NOTICE)
    assert copy_of(yours, YOURS, tmp_path, KNOWN) == tmp_path / 'else' / 'c.onnx'
    assert wanted_by_others(SHARED, MINE, tmp_path, KNOWN) == {}


def test_set_aside_until_taken(tmp_path: Path) -> None:
    yours = YOURS.files['net']
    part = tmp_path / 'part'
    part.write_bytes(WEIGHTS)
    set_aside(yours, part, tmp_path)  # the wrong content
    assert copy_of(yours, YOURS, tmp_path, KNOWN) is None
    part.write_bytes(NOTICE)
    set_aside(yours, part, tmp_path)
    place = tmp_path / ASIDE / digest(NOTICE)
    assert copy_of(yours, YOURS, tmp_path, KNOWN) == place
    place.write_bytes(NOTICE[:-1])
    assert copy_of(yours, YOURS, tmp_path, KNOWN) is None
    taken(YOURS, tmp_path)
    assert not (tmp_path / ASIDE).exists()
    taken(YOURS, tmp_path)


def test_without_a_checksum_nothing_is_the_same(tmp_path: Path) -> None:
    assert copy_of(FileEntry('a.onnx', url='https://x'), MINE, tmp_path, KNOWN) is None
