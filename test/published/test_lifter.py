# SPDX-License-Identifier: Apache-2.0
"""Lifters held against the recorded results of MMPose, VideoPose3D and MotionBERT."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from shared import PARITY, Recorded

from pose3d_ros.estimators.lifter import codecs
from pose3d_ros.estimators.lifter.joints import to_h36m
from pose3d_ros.skeleton import SKELETONS
from published import lifter_codecs as published
from published import lifter_dilated as dilated
from published import lifter_joints
from published import lifter_protocols as protocols
from published import lifter_windows as windows

FOLDER = PARITY / 'lifters'
CODEC, MODEL, DSTFORMER, END_TO_END = 1e-5, 1e-5, 1e-4, 1e-4


def cases(index: str, *kinds: str, key: str = 'kind') -> list[Any]:
    path = FOLDER / index
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding='utf-8'))['cases']
    return [pytest.param(c, id=c['id']) for c in found if c.get(key) in kinds]


def close(found: Any, expected: Any, relative: float) -> None:
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= relative * max(1.0, np.abs(expected).max())


def load(case: dict[str, Any], module: Any, **options: Any) -> Any:
    """The published checkpoint in our definition, nothing missing and nothing left over."""
    pytest.importorskip('torch')
    state = {k: v for k, v in module.read(FOLDER / case['checkpoint']).items() if v.ndim}
    state = {k: v for k, v in state.items() if not k.startswith('data_preprocessor')}
    net = module.build({k: tuple(v.shape) for k, v in state.items()}, **options)
    result = net.load_state_dict(state, strict=False)
    assert not result.unexpected_keys
    assert all(key.endswith('num_batches_tracked') for key in result.missing_keys)
    return net.requires_grad_(False)


def run(net: Any, x: Any) -> list[Any]:
    import torch

    out = net(torch.from_numpy(np.ascontiguousarray(x, np.float32)))
    return [y.numpy() for y in (out if isinstance(out, tuple) else (out,))]


@pytest.mark.parametrize('case', cases('index_nets.json', 'mmpose_tcn'))
def test_videopose3d(case: dict[str, Any]) -> None:
    pytest.importorskip('torch')
    import torch

    from pose3d_ros.tools.families import temporal

    data = np.load(FOLDER / case['data'])
    net = load(case, temporal, causal=case['causal'])
    if case['max_norm']:
        dilated.clip_norms(net.backbone, case['max_norm'])
    x = codecs.flatten(codecs.by_image(data['keypoints_px'], data['image_wh']))
    close(x, data['input'], CODEC)
    out = run(net, x)
    close(out[0].reshape(data['output'].shape), data['output'], MODEL)
    whole = dilated.clip(net, torch.from_numpy(x.astype(np.float32)))
    close(whole[0][:, 0].numpy().reshape(data['output'].shape), data['output'], MODEL)
    if case['trajectory']:
        close(out[1].reshape(data['output_traj'].shape), data['output_traj'], MODEL)


@pytest.mark.parametrize('case', cases('index_nets.json', 'mmpose_simplebaseline'))
def test_simplebaseline(case: dict[str, Any]) -> None:
    pytest.importorskip('torch')
    from pose3d_ros.tools.families import temporal

    data = np.load(FOLDER / case['data'])
    statistics = codecs.Statistics(
        *(data[k] for k in ('keypoints_mean', 'keypoints_std', 'target_mean', 'target_std'))
    )
    x = statistics.encode(data['keypoints_px'])
    close(x, data['input'], CODEC)
    out = run(load(case, temporal), x)[0].reshape(data['output'].shape)
    close(out, data['output'], MODEL)
    close(statistics.decode(out, np.zeros((len(out), 3))), data['decoded_root_at_zero'], CODEC)


@pytest.mark.slow
@pytest.mark.parametrize('case', cases('index_nets.json', 'mmpose_motionbert'))
def test_motionbert(case: dict[str, Any]) -> None:
    pytest.importorskip('torch')
    from pose3d_ros.tools.families import dstformer

    data = np.load(FOLDER / case['data'])
    net = load(case, dstformer, heads=case['num_heads'])
    size = data['image_wh']
    for frames in case['clip_lengths']:
        name = f'T{frames}_'
        x = codecs.motionbert_input(data[name + 'keypoints_px'], data[name + 'scores'], size)
        close(x, data[name + 'input'], CODEC)
        out = run(net, x)[0]
        close(out, data[name + 'output'], DSTFORMER)
        both = codecs.from_mirror(out, run(net, codecs.mirrored(x))[0])
        for found, key in ((out, 'noflip'), (both, 'flip')):
            factors = data[name + 'factor']
            metres = [codecs.motionbert_decode(p, size, f) for p, f in zip(found, factors)]
            close(np.array(metres), data[f'{name}decoded_m_{key}'], DSTFORMER)


@pytest.mark.parametrize('case', cases('index_nets.json', 'videopose3d_official_clip'))
def test_videopose3d_clip(case: dict[str, Any]) -> None:
    pytest.importorskip('torch')
    import torch

    from pose3d_ros.tools.families import temporal

    data = np.load(FOLDER / case['data'])
    net = load(case, temporal, causal=case['causal'])

    def clip(points: Any) -> list[Any]:
        padded = windows.pad_clip(points, net.backbone.receptive_field, case['causal'])
        x = torch.from_numpy(codecs.flatten(padded).astype(np.float32))[None]
        return [y[0].numpy().reshape(len(points), -1, 3) for y in dilated.clip(net, x)]

    points = codecs.by_image(data['keypoints_px'], data['image_wh'])
    close(points, data['input'], CODEC)
    # The input swaps the sides of its own convention, the output those of Human3.6M.
    convention = {'h36m17': 'h36m_17', 'coco17': 'coco_17'}[case['input_joints']]
    plain, mirror = clip(points), clip(codecs.mirrored(points, convention=convention))
    for name, a, b in zip(('pose', 'traj'), plain, mirror):
        close(a, data[f'{name}_plain'], MODEL)
        close(codecs.from_mirror(a, b), data[f'{name}_tta'], MODEL)


@pytest.mark.parametrize('case', cases('index_nets.json', 'motionbert_official_clip'))
def test_motionbert_clip(case: dict[str, Any]) -> None:
    pytest.importorskip('torch')
    from pose3d_ros.tools.families import dstformer

    data = np.load(FOLDER / case['data'])
    net = load(case, dstformer, heads=case['num_heads'])
    size = tuple(data['image_wh'].tolist())
    clip = np.concatenate([data['keypoints_px'], data['scores'][..., None]], axis=-1)
    pixel = clip.copy()
    pixel[..., :2] = published.by_shorter_side(clip[..., :2], size)
    for name, points in (('pixel', pixel), ('crop', published.crop_scale(clip))):
        close(points, data[f'input_{name}'], CODEC)
        parts = []
        for start in range(0, len(points), case['maxlen']):
            x = points[None, start : start + case['maxlen']]
            out = codecs.from_mirror(run(net, x)[0], run(net, codecs.mirrored(x))[0])[0]
            if case['rootrel']:
                out[:, 0] = 0
            else:
                out[0, 0, 2] = 0
            parts.append(out)
        found = np.concatenate(parts)
        close(found, data[f'output_{name}'], DSTFORMER)
        if name == 'pixel':
            close(published.from_shorter_side(found, size), data['output_pixel_units'], DSTFORMER)


@pytest.mark.parametrize('case', list(cases('index_rest.json', 'VideoPoseLifting', key='codec')))
def test_video_codec(case: dict[str, Any]) -> None:
    data, params = np.load(FOLDER / 'codecs' / f'{case["id"]}.npz'), case['params']
    size = data['image_wh']
    points = codecs.by_image(data['keypoints_px'], size)
    if params.get('concat_vis'):
        points = np.concatenate([points, data['keypoints_visible'][..., None]], axis=-1)
    if params.get('reshape_keypoints', True):
        points = codecs.flatten(points)
    close(points, data['keypoint_labels'], CODEC)
    root = params.get('root_index', 0)
    if params['zero_center']:
        target, centre = published.split_root(data['lifting_target'], root)
        if params['remove_root']:
            target = np.delete(target, root, axis=-2)
        close(target, data['lifting_target_label'], CODEC)
        close(centre, data['target_root'], CODEC)
        back = data['decode_in']
        if params['remove_root']:
            back = codecs.with_root(back, data['decode_root'])
        else:
            back = back + data['decode_root'][:, None]
        close(back, data['decode_out_with_root'], CODEC)
    if params.get('normalize_camera'):
        focal, middle = published.camera_in_image(data['cam_f'], data['cam_c'], size)
        close(focal, data['norm_cam_f'], CODEC)
        close(middle, data['norm_cam_c'], CODEC)


@pytest.mark.parametrize('case', cases('index_rest.json', 'ImagePoseLifting', key='codec'))
def test_image_codec(case: dict[str, Any]) -> None:
    data = np.load(FOLDER / 'codecs' / f'{case["id"]}.npz')
    statistics = codecs.simplebaseline_statistics()
    close(statistics.encode(data['keypoints_px'])[0], data['keypoint_labels'], CODEC)
    target, root = published.split_root(data['lifting_target'])
    close(root, data['target_root'], CODEC)
    label = (target[:, 1:] - statistics.output_mean) / statistics.output_std
    close(label, data['lifting_target_label'], CODEC)
    close(statistics.decode(data['decode_in']), data['decode_out_no_root'], CODEC)
    moved = statistics.decode(data['decode_in'], data['decode_root'])
    close(moved, data['decode_out_with_root'], CODEC)


@pytest.mark.parametrize('case', cases('index_rest.json', 'MotionBERTLabel', key='codec'))
def test_motionbert_codec(case: dict[str, Any]) -> None:
    data, params = np.load(FOLDER / 'codecs' / f'{case["id"]}.npz'), case['params']
    size, target = data['image_wh'], data['lifting_target_m']
    x = codecs.motionbert_input(data['keypoints_px'], data['keypoints_visible'], size)
    close(x, data['keypoint_labels'], CODEC)
    camera = data['cam_f'], data['cam_c']
    factor = published.camera_factor(target[:, 0], *camera)
    close(factor, data['factor_from_camera'][:, 0], CODEC)
    for given, key in ((factor, 'from_camera'), (data['factor_in'], 'given')):
        label = published.motionbert_label(target, *camera, size, given, params['mode'])
        close(label, data[f'label_factor_{key}'], CODEC)
    for options, key in (
        ({}, 'plain'),
        ({'size': size}, 'wh'),
        ({'size': size, 'factor': data['factor_in']}, 'wh_factor'),
    ):
        out = codecs.motionbert_decode(data['decode_in'], rootrel=params['rootrel'], **options)
        close(out, data[f'decode_out_{key}'], CODEC)


def test_joint_conversions(recorded: Recorded) -> None:
    data = np.load(recorded('lifters/joints/conversions.npz'))
    for name, source in (
        ('coco', 'coco_17'),
        ('posetrack18', 'posetrack_18'),
        ('aic', 'aic_14'),
        ('crowdpose', 'crowdpose_14'),
        ('h36m', 'h36m_17'),
    ):
        convert = lifter_joints.to_h36m
        if source in SKELETONS:
            source, convert = SKELETONS[source], to_h36m
        close(convert(data[f'{name}_in'], source), data[f'{name}_out'], CODEC)
        close(convert(data[f'{name}_score_in'], source), data[f'{name}_score_out'], CODEC)
    close(to_h36m(data['halpe26_in'], SKELETONS['halpe_26']), data['halpe26_out'], CODEC)
    coco = to_h36m(data['coco17_motionbert_in'], SKELETONS['coco_17'])
    close(coco, data['coco17_motionbert_out'], CODEC)
    source = data['posetrack17_motionbert_in']
    found = lifter_joints.to_h36m(source, 'posetrack_motionbert')
    found[..., 2] = published.posetrack_scores(source[..., 2])
    close(found, data['posetrack17_motionbert_out'], CODEC)
    crops = np.load(recorded('lifters/joints/motionbert_crop_scale.npz'))
    for k in range(len(crops.files) // 2):
        close(published.crop_scale(crops[f'in{k}']), crops[f'out{k}'], CODEC)


def test_openpose_order(recorded: Recorded) -> None:
    data = np.load(recorded('lifters/topdown/coco_to_openpose18.npz'))
    points, scores = published.coco_to_openpose(data['keypoints'], data['scores'])
    close(points, data['out_keypoints'], CODEC)
    close(scores, data['out_scores'], CODEC)


def test_window_rule(recorded: Recorded) -> None:
    data = json.loads((recorded('lifters/demo/windows.json')).read_text(encoding='utf-8'))
    checked = 0
    for case in data['extract_pose_sequence']:
        if case['mode'] == 'online_demo_script_one_based':
            continue  # the script counts frames from one, a defect that is not copied
        found = windows.window_indices(
            case['frame_idx'], case['num_frames'], case['seq_len'], case['step'], case['causal']
        )
        assert found == case['window'], case
        checked += 1
    assert checked
    for case in data['dataset_windows']:
        assert (
            windows.dataset_windows(**{k: v for k, v in case.items() if k != 'windows'})
            == (case['windows'])
        )


def test_metrics(recorded: Recorded) -> None:
    data = np.load(recorded('lifters/metrics/mmpose_keypoint_mpjpe.npz'))
    for mode in ('none', 'procrustes', 'scale'):
        for key, mask in (('masked', data['mask']), ('full', np.ones_like(data['mask']))):
            found = protocols.keypoint_mpjpe(data['pred'], data['gt'], mask, mode)
            assert found == pytest.approx(float(data[f'{mode}_{key}']), rel=1e-6)
    full = np.ones_like(data['mask'])
    found = protocols.keypoint_mpjpe(data['pred_reflected'], data['gt'], full, 'procrustes')
    assert found == pytest.approx(float(data['procrustes_reflected_full']), rel=1e-6)

    data = np.load(recorded('lifters/metrics/official_losses.npz'))
    full = np.ones(data['pred'].shape[:2], bool)
    for key, mode in (('mpjpe', 'none'), ('p_mpjpe', 'procrustes'), ('n_mpjpe', 'scale')):
        found = protocols.keypoint_mpjpe(data['pred'], data['gt'], full, mode)
        assert found == pytest.approx(float(data[f'vp3d_{key}']), rel=1e-6)
    found = protocols.velocity_error(data['pred'], data['gt'])
    assert found == pytest.approx(float(data['vp3d_velocity']), rel=1e-6)


def test_metrics_by_action(recorded: Recorded) -> None:
    data = np.load(recorded('lifters/metrics/mmpose_metric_class.npz'))
    index = json.loads((FOLDER / 'index_rest.json').read_text(encoding='utf-8'))['cases']
    skip = next(c['skip_list'] for c in index if c['id'] == 'mmpose_metric_class')
    names = [str(name) for name in data['image_names']]
    found = protocols.mmpose_scores(data['pred'], data['gt'], data['mask'], names, skip)
    expected = {k.removeprefix('result__'): float(data[k]) for k in data.files if 'result__' in k}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-6), key


def test_motionbert_protocol(recorded: Recorded) -> None:
    data = np.load(recorded('lifters/metrics/motionbert_official_protocol.npz'))
    found = protocols.motionbert_scores(
        data['pred_normalised'],
        data['clip_frame_indices'],
        [str(v) for v in data['actions']],
        [str(v) for v in data['sources']],
        data['image_wh'],
        data['factor_2p5d'],
        data['gt_2p5d_mm'],
    )
    assert found[0] == pytest.approx(float(data['result_mpjpe_mm']), rel=1e-5)
    assert found[1] == pytest.approx(float(data['result_p_mpjpe_mm']), rel=1e-5)


def _lifted(lifter: str, checkpoint: str, window: Any, size: Any) -> Any:
    """(17, 3) camera axes of a window (T, 17, 2) of pixels."""
    from pose3d_ros.tools.families import dstformer, temporal

    case = {'checkpoint': checkpoint}
    if lifter == 'mb':
        net = load(case, dstformer)
        x = codecs.motionbert_input(window, np.ones(window.shape[:2]), size)[None]
        out = codecs.from_mirror(run(net, x)[0], run(net, codecs.mirrored(x))[0])[0]
        factor = np.full(len(out), codecs.DEFAULT_FACTOR)
        return codecs.motionbert_decode(out, size, factor)[-1]
    net = load(case, temporal)
    if lifter == 'sb':
        statistics = codecs.simplebaseline_statistics()
        out = run(net, statistics.encode(window[-1:]))[0].reshape(1, 16, 3)
        return statistics.decode(out, np.zeros((1, 3)))[0]
    x = codecs.flatten(codecs.by_image(window, size))[None]
    return run(net, x)[0].reshape(17, 3)


@pytest.mark.slow
@pytest.mark.parametrize('case', cases('index_rest.json', 'vp27', 'sb', 'mb', key='lifter'))
def test_end_to_end(case: dict[str, Any]) -> None:
    """Frame by frame as MMPose's inferencer: convert, move to the mean person, window, lift."""
    pytest.importorskip('torch')
    if case['variant'] == 'script':
        pytest.skip('the script counts from one and swaps width and height: defects not copied')
    data = np.load(FOLDER / 'demo' / f'{case["id"]}.npz')
    size, ids = data['image_wh'], data['track_ids']
    points = to_h36m(data['coco_keypoints_px'], SKELETONS['coco_17'])
    length = {'vp27': 27, 'sb': 1, 'mb': 1}[case['lifter']]
    checked = 0
    for frame in range(len(points)):
        for slot in np.flatnonzero(ids[frame] >= 0):
            past = protocols.track_back(ids, frame, int(ids[frame, slot]))
            rows = [points[f, s] for f, s in past]
            if case['norm_pose_2d']:
                boxes = [data['bboxes_xyxy'][f, s] for f, s in past]
                rows = [codecs.norm_pose(p, b) for p, b in zip(rows, boxes)]
            indices = windows.window_indices(
                len(rows) - 1, len(rows), length, causal=bool(case['causal'])
            )
            window = np.stack([rows[k] for k in indices])
            found = _lifted(case['lifter'], case['checkpoint'], window, size)
            close(found, data['lifted_camera_axes'][frame, slot], END_TO_END)
            order = list(data['final_track_ids'][frame]).index(ids[frame, slot])
            shown = protocols.display_axes(found, rebase=case['rebase'])
            close(shown, data['final_sorted_by_track'][frame, order], END_TO_END)
            checked += 1
    assert checked


def test_tracks_of_the_published_program(recorded: Recorded) -> None:
    data = np.load(recorded('lifters/demo/track_by_iou.npz'))
    boxes, expected = data['bboxes_xyxy'], data['track_ids']
    tracker = protocols.IouTracker()
    for frame, wanted in zip(boxes, expected):
        there = np.isfinite(frame).all(axis=1)
        found = np.full(len(frame), -1)
        found[there] = tracker.update(frame[there])
        np.testing.assert_array_equal(found[there], wanted[there])
