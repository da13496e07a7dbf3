# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.resources import resource
from pose3d_ros.skeleton import get_skeleton
from pose3d_ros.tools.clips import JOINTS, Clip
from pose3d_ros.tools.evaluate import ClipScore, find_clips, mean_scores, scored_joints
from pose3d_ros.types import Frame, FrameResult, Pose3D, PositionSource

IMAGE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture(scope='module')
def clip():
    return Clip.load(resource('demo', 'two_people.mp4'))


def pose_of(xyz, pixels, *, track=1, absolute=True, covariance=None, skeleton='coco_17'):
    """A pose with the 13 scored joints at the given places and NaN elsewhere."""
    skeleton = get_skeleton(skeleton)
    index = [skeleton.index(name) for name in JOINTS]
    full_xyz, full_px = np.full((len(skeleton), 3), np.nan), np.full((len(skeleton), 2), np.nan)
    full_xyz[index], full_px[index] = xyz, pixels
    spread = None
    if covariance is not None:
        spread = np.full((len(skeleton), 3, 3), np.nan)
        spread[index] = covariance
    return Pose3D(
        skeleton=skeleton,
        xyz=full_xyz,
        confidence=np.ones(len(skeleton)),
        pixels=full_px,
        status=np.ones(len(skeleton), np.uint8),
        covariance=spread,
        position_source=PositionSource.ASSUMED if absolute else PositionSource.RELATIVE,
        track_id=track,
    )


def score(clip, frames, poses_of):
    score = ClipScore(clip)
    for index in frames:
        frame = Frame(IMAGE, stamp_ns=index)
        score.number(index, frame)
        score.add([FrameResult(frame, poses_of(index))])
    return score.result.scores()


def test_truth_scores_perfectly(clip):
    def poses(k):
        return [pose_of(clip.xyz[k, p], clip.pixels[k, p], track=p + 1) for p in (1, 0)]

    scores = score(clip, range(0, 150, 10), poses)
    assert scores['people_visible'] == scores['people_found'] == 30
    assert scores['detection_rate'] == 1
    for key in ('mpjpe_mm', 'pa_mpjpe_mm', 'error_2d_px_mean', 'root_error_mm_mean'):
        assert scores[key] == pytest.approx(0, abs=1e-9), key
    assert scores['false_people'] == scores['identity_switches'] == scores['missing_joints'] == 0
    assert scores['coverage_1_sigma'] is None


def test_shift_in_depth_is_a_root_error_only(clip):
    def poses(k):
        return [pose_of(clip.xyz[k, p] + np.array((0, 0, 0.2)), clip.pixels[k, p]) for p in (0, 1)]

    scores = score(clip, range(5), poses)
    assert scores['mpjpe_mm'] == pytest.approx(0, abs=1e-9)
    assert scores['root_error_mm_median'] == pytest.approx(200)
    assert scores['depth_bias_mm'] == pytest.approx(200)
    assert scores['absolute_mpjpe_mm'] == pytest.approx(200)


def test_relative_poses_have_no_root_error(clip):
    def poses(k):
        return [pose_of(clip.xyz[k, 0] - clip.xyz[k, 0].mean(0), clip.pixels[k, 0], absolute=False)]

    scores = score(clip, range(5), poses)
    assert scores['mpjpe_mm'] == pytest.approx(0, abs=1e-9)
    assert scores['root_error_mm_mean'] is None
    assert scores['absolute_mpjpe_mm'] is None
    assert scores['detection_rate'] == 0.5


def test_nobody_found(clip):
    scores = score(clip, range(4), lambda _: [])
    assert scores['detection_rate'] == 0
    assert scores['mpjpe_mm'] is None


def test_switch_and_ghost_are_counted(clip):
    def poses(k):
        ids = (1, 2) if k < 5 else (2, 1)
        real = [pose_of(clip.xyz[k, p], clip.pixels[k, p], track=ids[p]) for p in (0, 1)]
        ghost = pose_of(clip.xyz[k, 0], clip.pixels[k, 0] + 300, track=9)
        return [ghost, *real]

    scores = score(clip, range(10), poses)
    assert scores['identity_switches'] == 2
    assert scores['false_people'] == 10
    assert scores['detection_rate'] == 1


def test_missing_joint_is_counted_and_left_out(clip):
    def poses(k):
        xyz = clip.xyz[k, 0] + np.array((0.1, 0, 0))
        xyz[JOINTS.index('nose')] = np.nan
        return [pose_of(xyz, clip.pixels[k, 0])]

    scores = score(clip, range(3), poses)
    assert scores['missing_joints'] == 3
    assert scores['absolute_mpjpe_mm'] == pytest.approx(100)


def test_stated_covariance_is_checked(clip):
    rng = np.random.default_rng(0)

    def poses(k):
        # The hips stay where they are: the error is relative to their middle.
        noise = rng.normal(size=(13, 3)) * 0.05
        noise[[JOINTS.index('left_hip'), JOINTS.index('right_hip')]] = 0
        spread = np.broadcast_to(np.eye(3) * 0.05**2, (13, 3, 3))
        return [pose_of(clip.xyz[k, 0] + noise, clip.pixels[k, 0], covariance=spread)]

    share = score(clip, range(100), poses)['coverage_1_sigma']
    assert share == pytest.approx((0.683 * 11 + 2) / 13, abs=0.02)


def test_pixels_are_projected_where_a_pose_has_none(clip):
    pose = pose_of(clip.xyz[0, 0], np.full((13, 2), np.nan))
    _, pixels, _ = scored_joints(pose, clip.camera)
    assert pixels == pytest.approx(clip.pixels[0, 0], abs=0.01)


def test_joints_go_by_meaning(clip):
    names = get_skeleton('h36m_17').names
    xyz, _, _ = scored_joints(
        pose_of(clip.xyz[0, 0], clip.pixels[0, 0]).replace(
            skeleton=get_skeleton('h36m_17'), xyz=np.arange(51.0).reshape(17, 3)
        ),
        clip.camera,
    )
    assert np.isnan(xyz[0]).all()  # Human3.6M has no nose
    assert xyz[1, 0] == 3 * names.index('left_shoulder')


def test_means_average_errors_and_add_up_events(clip):
    results = []
    for offset in (0.1, 0.3):
        score = ClipScore(clip)
        frame = Frame(IMAGE)
        score.number(0, frame)
        pose = pose_of(clip.xyz[0, 0] + np.array((offset, 0, 0)), clip.pixels[0, 0])
        score.add([FrameResult(frame, [pose])])
        results.append(score.result)
    mean = mean_scores(results)
    assert mean['absolute_mpjpe_mm'] == pytest.approx(200)
    assert mean['people_visible'] == 4


def test_clips_are_found_and_chosen_by_name(monkeypatch, tmp_path):
    folder = resource('demo', 'README.md').parent
    assert [c.name for c in find_clips(folder)] == ['jump', 'two_people']
    assert [c.name for c in find_clips(folder, ['two_people'])] == ['two_people']
    with pytest.raises(InputError, match="no clip 'walk'; there are jump, two_people"):
        find_clips(folder, ['walk'])
    with pytest.raises(InputError, match='no clips here'):
        find_clips(tmp_path)
    monkeypatch.setenv('POSE3D_DATA', str(folder))
    assert len(find_clips()) == 2
    monkeypatch.delenv('POSE3D_DATA')
    assert len(find_clips()) == 2


def test_damaged_ground_truth(tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'')
    (tmp_path / 'a.npz').write_bytes(b'nothing')
    with pytest.raises(InputError, match=r'a\.npz'):
        Clip.load(tmp_path / 'a.mp4')
    np.savez(tmp_path / 'a.npz', joint_names=np.array(['nose']))
    with pytest.raises(InputError, match='no ground truth of a clip'):
        Clip.load(tmp_path / 'a.mp4')
    with pytest.raises(InputError, match=r'b\.npz'):
        Clip.load(tmp_path / 'b.mp4')
