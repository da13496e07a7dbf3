# SPDX-License-Identifier: Apache-2.0
import os
import resource
import signal
import sys

import cv2
import numpy as np
import pytest
from support.blobs import draw
from support.poses import person

from pose3d_ros.camera import Camera
from pose3d_ros.drawing.style import LEFT
from pose3d_ros.errors import OutputError
from pose3d_ros.outputs.pictures import Pictures, save_picture, scaled, side_by_side
from pose3d_ros.outputs.video import AnnotatedVideo
from pose3d_ros.sources import open_source, read_image
from pose3d_ros.types import Frame, FrameResult


@pytest.fixture(params=['av', 'cv2'])
def encoder(request, monkeypatch):
    """Both encoders."""
    if request.param == 'av':
        pytest.importorskip('av')
    else:
        monkeypatch.setitem(sys.modules, 'av', None)
    return request.param


def frames(count=12, size=(320, 240), stamps=None):
    for k in range(count):
        stamp = stamps[k] if stamps else round(k * 1e9 / 25)
        yield Frame(draw([(size[0] / 2, size[1] / 2, 100 + 5 * k)], size), stamp)


def test_video_plays_and_shows_the_person(tmp_path, encoder):
    path = tmp_path / 'a.mp4'
    writer = AnnotatedVideo(path, 25)
    for index, frame in enumerate(frames()):
        writer.write(index, FrameResult(frame, [person(pixels=person().pixels / 2)]))
        assert not path.exists()
    writer.close()
    assert os.listdir(tmp_path) == ['a.mp4']
    source = open_source(path)
    shown = list(source)
    assert len(shown) == 12
    assert source.fps == pytest.approx(25)
    assert np.diff([f.stamp_ns for f in shown]) == pytest.approx(40e6, rel=0.01)
    width, height = shown[0].size
    assert height == 240
    assert width > 320 + 200
    # The left part is the image, the right one the 3D view on its light ground.
    assert shown[5].image[:, 320:].mean() > 200
    assert shown[5].image[:40, :40].mean() < 10


def test_video_keeps_uneven_times(tmp_path):
    av = pytest.importorskip('av')
    stamps = [0, 100_000_000, 110_000_000, 110_000_000, 900_000_000]
    writer = AnnotatedVideo(tmp_path / 'a.mp4', 10)
    for index, frame in enumerate(frames(5, stamps=stamps)):
        writer.write(index, FrameResult(frame, []))
    writer.close()
    with av.open(str(tmp_path / 'a.mp4')) as container:
        back = [float(frame.pts * frame.time_base) * 1e9 for frame in container.decode(video=0)]
    assert back == pytest.approx(stamps, abs=2e6)


def test_odd_and_changing_sizes(tmp_path, encoder):
    writer = AnnotatedVideo(tmp_path / 'a.mp4')
    for index, size in enumerate(((321, 241), (321, 241), (100, 300), (640, 480))):
        writer.add(next(frames(1, size)).image, index * 40_000_000)
    writer.close()
    assert {frame.size for frame in open_source(tmp_path / 'a.mp4')} == {(320, 240)}


def test_video_without_frames_is_no_file(tmp_path, encoder):
    AnnotatedVideo(tmp_path / 'a.mp4').close()
    writer = AnnotatedVideo(tmp_path / 'b.mp4')
    for index, frame in enumerate(frames(3)):
        writer.write(index, FrameResult(frame, []))
    writer.discard()
    assert os.listdir(tmp_path) == []


def noise_video(writer):
    rng = np.random.default_rng(0)
    for index in range(30):
        noise = rng.integers(0, 255, (240, 320, 3)).astype(np.uint8)
        writer.add(noise, index * 40_000_000)
    writer.close()


def test_full_disk_leaves_no_video(tmp_path, encoder):
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = AnnotatedVideo(tmp_path / 'a.mp4', 25)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
        with pytest.raises(OutputError, match=r'cannot write .*a\.mp4'):
            noise_video(writer)
        writer.discard()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == []


def test_picture_of_the_best_frame(tmp_path):
    writer = Pictures(tmp_path / 'a.png', each=False)
    some = list(frames(3))
    writer.write(0, FrameResult(some[0], []))
    writer.write(1, FrameResult(some[1], [person(1), person(2, (1, 0, 3))]))
    writer.write(2, FrameResult(some[2], [person(1)]))
    assert os.listdir(tmp_path) == []
    writer.close()
    assert os.listdir(tmp_path) == ['a.png']
    expected = tmp_path / 'b.png'
    save_picture(expected, some[1], [person(1), person(2, (1, 0, 3))])
    assert (read_image(tmp_path / 'a.png') == read_image(expected)).all()


def test_a_picture_for_each_image(tmp_path):
    writer = Pictures(tmp_path / 'out', each=True)
    for index, name in enumerate(('x/one.jpg', 'x/two.jpg')):
        writer.write(index, FrameResult(Frame(draw([]), source=name), []))
    writer.close()
    assert sorted(os.listdir(tmp_path / 'out')) == ['000000_one.png', '000001_two.png']


def test_side_by_side():
    camera = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=(640, 480))
    frame = Frame(draw([(320, 240, 300)]), camera=camera)
    picture = side_by_side(frame, [person(1, (0, 0, 3))])
    assert picture.shape == (480, 1192, 3)
    view = picture[:, 640:].astype(int)
    assert (view.min(axis=2) > 240).mean() > 0.5
    assert (np.abs(view - LEFT).max(axis=2) < 40).sum() > 50


def test_small_images_are_magnified_with_their_joints():
    (pose,) = scaled([person()], 2)
    assert pose.pixels == pytest.approx(2 * person().pixels + 0.5)
    assert side_by_side(Frame(np.zeros((60, 80, 3), np.uint8)), []).shape[0] == 480


def test_formats_of_pictures(tmp_path):
    with pytest.raises(OutputError, match='pictures are .png'):
        Pictures(tmp_path / 'a.gif', each=False)
    path = save_picture(tmp_path / 'a.jpg', next(frames(1)), [])
    assert cv2.imread(str(path)) is not None
