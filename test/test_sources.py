# SPDX-License-Identifier: Apache-2.0
import shutil
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from shared import CLIPS, DATA, parity_files

from pose3d_ros.camera import Camera
from pose3d_ros.errors import InputError
from pose3d_ros.resources import resource
from pose3d_ros.sources import natural_key, open_source, read_image


@pytest.fixture
def picture():
    """A smooth colour picture, 48 high and 64 wide, that survives JPEG well."""
    y, x = np.mgrid[:48, :64]
    return np.stack([3 * x, 4 * y, 128 + x - y], axis=-1).astype(np.uint8)


def write(path, image):
    ok, data = cv2.imencode(path.suffix, image)
    assert ok
    path.write_bytes(data.tobytes())
    return path


def test_single_image_is_independent(tmp_path, picture):
    source = open_source(write(tmp_path / 'a.png', picture))
    (frame,) = source
    assert (source.kind, source.length, source.independent) == ('image', 1, True)
    assert (frame.image == picture).all()
    assert frame.frame_id == 'camera_optical_frame'
    assert frame.camera is None


def test_folder_is_sorted_as_people_count(tmp_path, picture):
    for k in (1, 9, 10, 100):
        write(tmp_path / f'frame_{k}.png', np.full_like(picture, k))
    (tmp_path / 'notes.txt').write_text('not a picture')
    source = open_source(tmp_path)
    frames = list(source)
    assert [f.image[0, 0, 0] for f in frames] == [1, 9, 10, 100]
    assert len({f.source for f in frames}) == 4
    assert [f.stamp_ns for f in frames] == [0, 10**9, 2 * 10**9, 3 * 10**9]
    assert source.length == 4


def test_folder_as_sequence_shares_one_state(tmp_path, picture):
    for k in range(3):
        write(tmp_path / f'{k}.png', picture)
    source = open_source(tmp_path, sequence_fps=25)
    frames = list(source)
    assert not source.independent
    assert {f.source for f in frames} == {tmp_path.name}
    assert [f.stamp_ns for f in frames] == [0, 40_000_000, 80_000_000]


def test_glob(tmp_path, picture):
    for name in ('a1.png', 'a2.png', 'b1.png'):
        write(tmp_path / name, picture)
    assert len(list(open_source(f'{tmp_path}/a*.png'))) == 2
    with pytest.raises(InputError, match='no such file, folder or pattern'):
        open_source(f'{tmp_path}/c*.png')


def test_natural_key_mixes_digits_and_letters():
    names = [Path(n) for n in ('b', '10', 'a10', 'a9', '9b', '9')]
    assert [str(p) for p in sorted(names, key=natural_key)] == ['9', '9b', '10', 'a9', 'a10', 'b']


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.tif', '.webp', '.ppm'])
@pytest.mark.parametrize('share', [0.0, 0.2, 0.6, 0.97])
def test_cut_off_pictures_are_refused(tmp_path, picture, suffix, share):
    noise = np.random.default_rng(0).integers(0, 60, picture.shape).astype(np.uint8)
    path = write(tmp_path / f'a{suffix}', picture // 2 + noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=f'a{suffix}'):
        read_image(path)


def test_end_of_a_thumbnail_is_not_the_end_of_the_picture(tmp_path, picture):
    path = write(tmp_path / 'a.jpg', picture)
    content = path.read_bytes()
    thumbnail = b'Exif\0\0' + content
    segment = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    whole = content[:2] + segment + content[2:]
    path.write_bytes(whole)
    assert read_image(path).shape == picture.shape
    path.write_bytes(whole[:-40])
    with pytest.raises(InputError, match='cut off'):
        read_image(path)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path, picture):
    path = write(tmp_path / 'a.jpg', picture)
    path.write_bytes(path.read_bytes() + b'trailing')
    assert read_image(path).shape == picture.shape


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(InputError, match='No such file'):
        read_image(tmp_path / 'nothing.png')
    (tmp_path / 'a.png').write_bytes(b'hello')
    with pytest.raises(InputError, match='not a picture'):
        read_image(tmp_path / 'a.png')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(InputError, match='no images in this folder'):
        open_source(tmp_path / 'empty')


def test_kinds_of_pixels(tmp_path, picture):
    grey = write(tmp_path / 'grey.png', picture[..., 0])
    assert (read_image(grey) == picture[..., :1]).all()
    deep = write(tmp_path / 'deep.png', picture.astype(np.uint16) * 257)
    assert np.abs(read_image(deep).astype(int) - picture).max() <= 1
    alpha = np.dstack([picture, np.full(picture.shape[:2], 128, np.uint8)])
    assert (read_image(write(tmp_path / 'alpha.png', alpha)) == picture).all()
    deep_grey = write(tmp_path / 'deep_grey.tif', picture[..., 1].astype(np.uint16) * 257)
    assert np.abs(read_image(deep_grey).astype(int) - picture[..., 1:2]).max() <= 1


def test_palette_png(tmp_path):
    image = pytest.importorskip('PIL.Image', reason='makes palette pictures with Pillow')
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:, :4] = (255, 0, 0)
    image.fromarray(colours).convert('P').save(tmp_path / 'palette.png')
    assert (read_image(tmp_path / 'palette.png') == colours[..., ::-1]).all()


def test_exif_turns_the_picture_upright(tmp_path, picture):
    path = write(tmp_path / 'a.jpg', picture)
    content = path.read_bytes()
    # One IFD with one entry: orientation (0x0112), short, 6 = turn clockwise.
    tiff = b'MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    exif = b'Exif\0\0' + tiff
    segment = b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif
    path.write_bytes(content[:2] + segment + content[2:])
    plain = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert (read_image(path) == cv2.rotate(plain, cv2.ROTATE_90_CLOCKWISE)).all()


def test_bad_images_in_a_folder_are_skipped_and_named(tmp_path, picture):
    write(tmp_path / '1.png', picture)
    (tmp_path / '2.png').write_bytes(b'')
    write(tmp_path / '3.png', picture)
    source = open_source(tmp_path)
    assert len(list(source)) == 2
    assert len(source.warnings) == 1
    assert '2.png' in source.warnings[0]
    (tmp_path / '1.png').write_bytes(b'x')
    (tmp_path / '3.png').unlink()
    with pytest.raises(InputError, match='none of the 2 images'):
        list(open_source(tmp_path))


def test_calibration_is_scaled_to_the_image(tmp_path, picture):
    camera = Camera(np.array([[200.0, 0, 63.5], [0, 200, 47.5], [0, 0, 1]]), size=(128, 96))
    (frame,) = open_source(write(tmp_path / 'a.png', picture), camera=camera)
    assert frame.camera.size == (64, 48)
    assert frame.camera.K[0, 0] == pytest.approx(100)
    with pytest.raises(InputError, match='another aspect ratio'):
        list(open_source(write(tmp_path / 'b.png', picture[:20]), camera=camera))


@pytest.mark.slow
def test_video_frames_and_stamps():
    source = open_source(resource('demo', 'jump.mp4'))
    assert (source.kind, source.length, source.independent) == ('video', 180, False)
    assert source.fps == pytest.approx(30)
    stamps = [frame.stamp_ns for frame in source]
    assert len(stamps) == 180
    assert np.diff(stamps) == pytest.approx(1e9 / 30, abs=2)
    assert not source.warnings
    assert len(list(source)) == 180  # a second pass starts over


def test_variable_frame_rate_keeps_its_stamps(tmp_path, picture):
    av = pytest.importorskip('av', reason='makes the video with PyAV')
    times = [100, 133, 166, 300, 310, 900, 1000]
    with av.open(str(tmp_path / 'vfr.mp4'), 'w') as container:
        stream = container.add_stream('mpeg4', rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(picture, format='bgr24')
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    stamps = [frame.stamp_ns for frame in open_source(tmp_path / 'vfr.mp4')]
    assert stamps == [(t - times[0]) * 10**6 for t in times]


def test_damaged_videos(tmp_path):
    content = resource('demo', 'jump.mp4').read_bytes()
    path = tmp_path / 'a.mp4'
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match='not a video, or damaged'):
        open_source(path)
    path.write_bytes(b'')
    with pytest.raises(InputError, match='empty'):
        open_source(path)
    hole = bytearray(content)
    hole[200_000:500_000] = np.random.default_rng(0).bytes(300_000)
    path.write_bytes(hole)
    source = open_source(path)
    read = len(list(source))
    assert 0 < read < 180
    assert f'{read} of 180 frames' in source.warnings[0]


@pytest.mark.parametrize('suffix', ['.mkv', '.ts', '.mp4'])
@pytest.mark.parametrize(
    'ticks', [[*range(1000, 1020)], [*range(20), *range(220, 240)]], ids=['late start', 'gap']
)
def test_times_without_frames_are_no_early_end(tmp_path, suffix, ticks):
    av = pytest.importorskip('av')
    path = tmp_path / f'a{suffix}'
    with av.open(str(path), 'w') as file:
        stream = file.add_stream('mpeg2video' if suffix == '.ts' else 'mpeg4', rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 10)
        for tick in ticks:
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format='bgr24')
            frame.pts, frame.time_base = tick, Fraction(1, 10)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    if not hasattr(cv2, 'CAP_PROP_PTS') and ticks[0]:
        pytest.skip('OpenCV says when a video begins since 4.11')
    source = open_source(path)
    stamps = [frame.stamp_ns for frame in source]
    assert len(stamps) == len(ticks)
    assert source.warnings == []
    assert round((stamps[-1] - stamps[0]) / 1e8) == ticks[-1] - ticks[0]


def test_a_video_named_after_the_time_of_day(tmp_path, monkeypatch):
    shutil.copy(resource('demo', 'jump.mp4'), tmp_path / '12:30:00.mp4')
    monkeypatch.chdir(tmp_path)
    assert next(iter(open_source('12:30:00.mp4'))).size == (640, 480)


def test_an_unlikely_calibration_is_named(tmp_path, picture):
    path = write(tmp_path / 'a.png', picture)
    camera = Camera(K=np.array([[0.8, 0, 32], [0, 50, 24], [0, 0, 1]]), size=(64, 48))
    assert 'fx is 0.8 pixels' in open_source(path, camera=camera).warnings[0]


def test_standard_input_is_refused():
    with pytest.raises(InputError, match='standard input'):
        open_source('-')


def test_an_animation_says_that_it_is_one_picture(tmp_path):
    if not hasattr(cv2, 'Animation'):
        pytest.skip('OpenCV writes animations since 4.11')
    animation = cv2.Animation()
    animation.frames = [np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), 255, np.uint8)]
    animation.durations = np.array([50, 50])
    path = tmp_path / 'a.webp'
    cv2.imwriteanimation(str(path), animation)
    source = open_source(path)
    assert len(list(source)) == 1
    assert 'the first picture alone' in source.warnings[0]


def test_missing_webcam_names_those_that_are_there():
    with pytest.raises(InputError, match='camera 97 cannot be opened'):
        open_source('97')


@pytest.mark.slow
@pytest.mark.parametrize('path', parity_files('blazepose', 'clip_*.npz'), ids=lambda p: p.stem)
def test_parity_blazepose_decoded_frames(path):
    video = CLIPS / f'{path.stem.removeprefix("clip_")}.mp4'
    if not video.is_file():
        pytest.skip(f'{video} is not there')
    with np.load(path) as data:
        wanted = data['frame_crc32']
    found = [zlib.crc32(np.ascontiguousarray(f.image[..., ::-1])) for f in open_source(video)]
    assert found == wanted.tolist()


def test_parity_blazepose_decoded_images(recorded):
    with np.load(recorded('blazepose/images_static.npz')) as data:
        files, wanted = data['files'], data['pixels_crc32']
    for name, checksum in zip(files, wanted):
        path = DATA / 'images' / Path(str(name)).name
        if path.is_file():
            image = read_image(path)
            assert zlib.crc32(np.ascontiguousarray(image[..., ::-1])) == checksum, name


def test_copied_clip_can_be_read_from_a_name_with_spaces(tmp_path):
    path = tmp_path / 'my clip ä.mp4'
    shutil.copy(resource('demo', 'jump.mp4'), path)
    assert next(iter(open_source(path))).size == (640, 480)
