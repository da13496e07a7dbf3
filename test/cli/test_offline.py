# SPDX-License-Identifier: Apache-2.0
import os
import signal

import numpy as np
import pytest
from support.blobs import draw

from pose3d_ros.cli.offline import run_offline
from pose3d_ros.errors import OutputError
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.sources import Source
from pose3d_ros.types import Frame


class Notes:
    """A writer that notes what is done to it."""

    def __init__(self, fail_at=None):
        self.frames, self.ids, self.end, self.fail_at = [], [], '', fail_at

    def write(self, index, result):
        if index == self.fail_at:
            raise OutputError('full')
        self.frames.append(index)
        self.ids.append([pose.track_id for pose in result.people])

    def close(self):
        self.end = 'closed'

    def discard(self):
        self.end = 'discarded'


@pytest.fixture
def pipeline():
    return Pipeline(PipelineConfig(estimator='support.blobs'))


def source(count=6, independent=False, at=None):
    def frames(_):
        for k in range(count):
            if at == k:
                os.kill(os.getpid(), signal.SIGINT)
            name = str(k) if independent else 'x'
            yield Frame(draw([(320, 240, 200)]), k * 33_000_000, source=name)

    return Source('x', 'video', 30.0, count, independent, frames)


def test_counts_and_stages(pipeline):
    notes = Notes()
    summary = run_offline(pipeline, source(), [notes])
    assert (summary.frames, summary.people, summary.most_people) == (6, 6, 1)
    assert notes.frames == list(range(6))
    assert notes.end == 'closed'
    stages = list(summary.stages)
    assert (stages[0], stages[-1]) == ('decode image', 'write')
    assert summary.stages['decode image'].runs == len(summary.stages['write'].recent) == 6
    assert summary.mean_ms() > summary.mean_ms('write') > 0
    assert len(summary.ids) == 1


def test_sequences_keep_ids_and_unrelated_images_do_not(pipeline):
    notes = Notes()
    run_offline(pipeline, source(), [notes])
    assert len({tuple(ids) for ids in notes.ids}) == 1
    notes = Notes()
    run_offline(pipeline, source(independent=True), [notes])
    assert len({tuple(ids) for ids in notes.ids}) == 6


@pytest.mark.slow
@pytest.mark.parametrize('independent', [False, True])
def test_frames_that_an_estimator_holds_back_come_at_the_end(tmp_path, independent):
    """In their order, with their numbers; of unrelated images each at once."""
    pixels = np.random.default_rng(0).uniform(200, 280, (12, 1, 17, 2))
    np.savez(tmp_path / 'people.npz', pixels=pixels, confidence=np.ones((12, 1, 17)))
    options = {'keypoints': str(tmp_path / 'people.npz'), 'latency': 'delay', 'delay': 4}
    pipeline = Pipeline(PipelineConfig(estimator='lifter', options=options))
    notes = Notes()
    summary = run_offline(pipeline, source(12, independent), [notes])
    assert notes.frames == list(range(12))
    assert all(len(ids) == 1 for ids in notes.ids)
    assert (summary.frames, summary.people, summary.with_people) == (12, 12, 12)
    if not independent:
        assert summary.stages['delay'].recent[-1] == pytest.approx(4 * 33)
        # Waiting is no work.
        assert summary.mean_ms() < 4 * 33


def test_max_frames(pipeline):
    notes = Notes()
    assert run_offline(pipeline, source(), [notes], max_frames=2).frames == 2
    assert notes.end == 'closed'


def test_ctrl_c_keeps_what_was_written(pipeline):
    notes = Notes()
    before = signal.getsignal(signal.SIGINT)
    summary = run_offline(pipeline, source(at=3), [notes])
    assert summary.interrupted
    assert notes.frames == [0, 1, 2, 3]
    assert notes.end == 'closed'
    assert signal.getsignal(signal.SIGINT) is before


def test_a_writer_that_fails_leaves_nothing_half(pipeline):
    notes, failing = Notes(), Notes(fail_at=2)
    with pytest.raises(OutputError, match='full'):
        run_offline(pipeline, source(), [notes, failing])
    assert notes.end == failing.end == 'discarded'


def test_frames_that_make_the_network_fail_end_the_run(pipeline):
    red = np.full((48, 64, 3), (0, 0, 255), np.uint8)
    bad = Source('x', 'video', 30.0, 1, False, lambda _: iter([Frame(red)]))
    notes = Notes()
    with pytest.raises(RuntimeError, match='red image'):
        run_offline(pipeline, bad, [notes])
    assert notes.end == 'discarded'
