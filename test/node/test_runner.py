# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import threading
import time

import numpy as np
import pytest
from support.adapters import Memory
from support.blobs import draw

from pose3d_ros.errors import ConfigError, InputError, Pose3DError
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.node.host import Host
from pose3d_ros.node.runner import FrameRunner
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.types import Frame

RED = np.full((48, 64, 3), (0, 0, 255), np.uint8)
WHITE = draw([(80, 60, 60)], (160, 120))
SECOND = 1_000_000_000


class Node:
    """A runner whose publisher can be made to wait, with the real pipeline."""

    def __init__(self, estimator='support.blobs', **settings):
        config = NodeConfig(estimator=estimator, **settings)
        self.results, self.configs, self.logs, self.halted = [], [], [], []
        self.free = threading.Event()
        self.free.set()
        self.listening = True
        self.now, self.seconds = 100 * SECOND, 50.0
        self.pipeline = Pipeline(config)
        self.runner = FrameRunner(
            self.pipeline,
            config,
            Host(
                StandaloneTypes(),
                Memory(),
                clock=lambda: self.now,
                timer=lambda: self.seconds,
                log=lambda level, line: self.logs.append((level, line)),
            ),
            decode=self.decode,
            publish=self.publish,
            needed=lambda source: self.listening,
            on_halt=self.halted.append,
        )

    def decode(self, arrival):
        stamp_ns, image = arrival.payload
        if image is None:
            raise InputError('the image is broken')
        if isinstance(image, Exception):
            raise image
        return Frame(image, stamp_ns, source=arrival.source)

    def publish(self, result, config):
        self.results.append(result)
        self.configs.append(config)
        assert self.free.wait(10)

    def offer(self, stamp_ns, image=WHITE, source=''):
        self.runner.offer(source, (stamp_ns, image))

    def finish(self):
        assert self.runner.wait_idle(10)

    def sleep(self, seconds):
        """Let time pass, without any."""
        self.now += round(seconds * SECOND)
        self.seconds += seconds

    def wait_for_results(self, count):
        self.wait_for(lambda: len(self.results) >= count)

    def wait_for(self, condition):
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.001)

    @property
    def stamps(self):
        return [result.frame.stamp_ns for result in self.results]

    def stats(self, source=''):
        return self.runner.report().sources[source]


@pytest.fixture(params=['support.blobs', 'support.overlapping'])
def make(request):
    made = []

    def start(**settings):
        node = Node(request.param, **settings)
        made.append(node)
        node.runner.start()
        return node

    yield start
    for node in made:
        node.free.set()
        assert node.runner.stop()


def test_result(make):
    node = make()
    node.offer(5)
    node.finish()
    (result,) = node.results
    assert result.frame.stamp_ns == 5
    assert len(result.people) == 1
    assert result.people[0].track_id == 1
    assert result.ended == ()


def test_newest_image_wins(make):
    node = make()
    node.free.clear()
    node.offer(1)
    node.wait_for_results(1)
    for stamp in range(2, 10):
        node.offer(stamp)
    node.free.set()
    node.finish()
    assert node.stamps == [1, 9]
    stats = node.stats()
    assert (stats.received, stats.processed, stats.dropped) == (9, 2, 7)


def test_every_image_in_its_order(make):
    node = make(drop_policy='none', queue_size=1000)
    node.free.clear()
    for stamp in range(1, 101):
        node.offer(stamp)
    node.free.set()
    node.finish()
    assert node.stamps == list(range(1, 101))
    assert node.stats().dropped == 0


def test_queue_is_bounded(make):
    node = make(drop_policy='none', queue_size=3)
    node.free.clear()
    node.offer(1)
    node.wait_for_results(1)
    for stamp in range(2, 10):
        node.offer(stamp)
    node.free.set()
    node.finish()
    assert node.stamps == [1, 2, 3, 4]
    assert node.stats().dropped == 5


def test_every_camera_has_its_place(make):
    node = make(cameras='left,right')
    node.free.clear()
    node.offer(1, source='left')
    node.wait_for_results(1)
    for stamp in range(2, 6):
        node.offer(stamp, source='left')
        node.offer(10 * stamp, source='right')
    node.free.set()
    node.finish()
    found = sorted((r.frame.source, r.frame.stamp_ns) for r in node.results)
    assert found == [('left', 1), ('left', 5), ('right', 50)]
    ids = {r.frame.source: r.people[0].track_id for r in node.results}
    assert ids['left'] != ids['right']


def test_broken_images_are_counted_and_survived(make):
    node = make(max_failures=2)
    for stamp in range(5):
        node.offer(stamp, None)
        node.finish()
    report = node.runner.report()
    assert report.sources[''].bad == 5
    assert report.sources[''].problem == 'the image is broken'
    assert not report.halted
    assert report.failures == 0
    # Said once, not for every image.
    assert [line for _, line in node.logs] == ['image: the image is broken']
    node.offer(10)
    node.finish()
    assert node.stamps == [10]
    assert node.stats().problem == ''


def test_failures_are_survived(make):
    node = make(max_failures=3)
    for stamp, image in enumerate([RED, RED, WHITE, RED, RED, WHITE], start=1):
        node.offer(stamp, image)
        node.finish()
    assert node.stamps == [3, 6]
    report = node.runner.report()
    assert (report.failures, report.failures_in_a_row) == (4, 0)
    assert report.last_failure == 'RuntimeError: the network failed on a red image'
    assert node.halted == []


def test_gives_up_after_failures_in_a_row(make):
    node = make(max_failures=3)
    for stamp in range(1, 10):
        node.offer(stamp, RED)
        node.finish()
    assert node.halted == ['RuntimeError: the network failed on a red image']
    assert node.runner.report().halted
    assert node.logs[-1][0] == logging.ERROR
    assert 'giving up after 3 in a row' in node.logs[-1][1]
    node.offer(20)
    node.finish()
    assert node.stamps == []
    # A new start is a new chance.
    assert node.runner.stop()
    node.runner.start()
    node.offer(21)
    node.finish()
    assert node.stamps == [21]


def test_a_camera_that_fails_does_not_take_the_others_away(make):
    node = make(cameras='left,right')
    node.free.clear()
    node.offer(1, source='left')
    node.wait_for_results(1)
    node.offer(2, source='left')
    node.offer(2, RED, source='right')
    node.free.set()
    node.finish()
    assert [(r.frame.source, r.frame.stamp_ns) for r in node.results] == [('left', 1), ('left', 2)]
    assert node.runner.report().failures == 1


def test_defects_in_decoding_and_publishing_are_failures(make):
    node = make()
    node.offer(1, ValueError('a defect'))
    node.finish()
    assert node.runner.report().last_failure == 'ValueError: a defect'
    node.publish = None
    node.runner._publish = lambda result, config: 1 / 0
    node.offer(2)
    node.finish()
    report = node.runner.report()
    assert report.last_failure == 'ZeroDivisionError: division by zero'
    assert report.failures == 2


def test_nobody_listens(make):
    node = make()
    node.listening = False
    node.offer(1)
    node.finish()
    assert node.results == []
    assert node.stats().skipped == 1
    node.listening = True
    node.offer(2)
    node.finish()
    assert node.stamps == [2]


def test_pause_and_resume(make):
    node = make()
    node.runner.configure(node.runner.config.replace(enabled=False))
    node.offer(1)
    node.finish()
    assert node.results == []
    report = node.runner.report()
    assert not report.enabled
    assert report.sources[''].received == 1
    node.runner.configure(node.runner.config.replace(enabled=True))
    node.offer(2)
    node.finish()
    assert node.stamps == [2]


def test_live_settings_come_between_two_images(make):
    node = make(drop_policy='none')
    node.free.clear()
    node.offer(1)
    node.wait_for_results(1)
    node.runner.configure(node.runner.config.replace(marker_scale_m=0.5))
    node.runner.configure(node.runner.config.replace(max_people=7))
    assert node.runner.config.marker_scale_m == 0.5, 'the second change has undone the first'
    node.free.set()
    node.offer(2)
    node.finish()
    assert [config.max_people for config in node.configs] == [5, 7]
    assert node.configs[1].marker_scale_m == 0.5
    assert node.pipeline.config.max_people == 7


def test_other_settings_cannot_change(make):
    node = make()
    with pytest.raises(ConfigError, match=r'device, drop_policy cannot change while the node is'):
        node.runner.configure(node.runner.config.replace(device='GPU', drop_policy='none'))
    assert node.runner.config.device == 'CPU'


def test_settings_without_a_worker():
    node = Node()
    node.runner.configure(node.runner.config.replace(max_people=7))
    assert node.pipeline.config.max_people == 7


def test_reset_forgets_the_tracks(make):
    node = make()
    node.offer(1)
    node.finish()
    node.runner.reset()
    node.offer(2)
    node.finish()
    assert [r.people[0].track_id for r in node.results] == [1, 2]


def test_backward_and_equal_stamps(make):
    node = make()
    for stamp in (10 * SECOND, 10 * SECOND + 1, 10 * SECOND + 1, 5 * SECOND):
        node.offer(stamp)
        node.finish()
    stats = node.stats()
    assert (stats.backwards, stats.equal) == (1, 1)
    assert node.runner.report().resets == 1
    ids = [r.people[0].track_id for r in node.results]
    assert ids[0] == ids[1]
    assert ids[3] != ids[0]
    assert node.results[3].ended == (ids[0],)


def test_latency_is_split(make):
    node = make(drop_policy='none')
    node.free.clear()
    node.now = 20 * SECOND
    node.offer(20 * SECOND - 30_000_000)
    node.wait_for_results(1)
    node.sleep(0.02)
    node.offer(20 * SECOND)
    node.sleep(0.05)
    node.free.set()
    node.finish()
    latency = node.runner.report().latency_ms
    assert list(latency)[:3] == ['transport', 'wait', 'decode image']
    assert list(latency)[-2:] == ['publish', 'total']
    assert 'landmarks' in latency
    # Mean and 95th percentile of two images; the second waited while the first was published.
    assert latency['transport'] == pytest.approx((25, 30))
    assert latency['wait'] == pytest.approx((25, 50))
    assert latency['publish'] == pytest.approx((35, 70))
    assert latency['total'] == pytest.approx((85, 100))


def test_rates(make):
    node = make()
    for stamp in range(11):
        if stamp:
            node.sleep(0.1)
        node.offer(stamp)
        node.finish()
    stats = node.stats()
    assert stats.rate_in == pytest.approx(10)
    assert stats.rate_out == pytest.approx(10)
    assert stats.age_s == 0
    assert stats.people == 1
    # Images that nobody listens to come in and do not go out.
    node.listening = False
    for stamp in range(11, 51):
        node.sleep(0.1)
        node.offer(stamp)
        node.finish()
    node.sleep(0.05)
    stats = node.stats()
    assert stats.rate_in == pytest.approx(10, rel=0.02)
    assert stats.rate_out == pytest.approx(2, rel=0.2)
    assert stats.age_s == pytest.approx(0.05)


def test_before_the_first_image():
    report = Node().runner.report()
    assert report.sources[''].age_s is None
    assert report.sources[''].rate_in == 0
    assert report.latency_ms == {}


def test_stop_does_not_wait_for_the_queue(make):
    node = make(drop_policy='none')
    node.free.clear()
    for stamp in range(50):
        node.offer(stamp)
    node.wait_for_results(1)
    # It has been told to stop before the image at hand is through.
    assert not node.runner.stop(timeout_s=0)
    node.free.set()
    assert node.runner.stop()
    assert len(node.results) == 1


def test_stop_says_when_an_image_takes_too_long(make):
    node = make()
    node.free.clear()
    node.offer(1)
    node.wait_for_results(1)
    assert not node.runner.stop(timeout_s=0.05)
    with pytest.raises(Pose3DError, match='still busy'):
        node.runner.start()


def test_images_before_start_and_after_stop():
    node = Node()
    node.offer(1)
    node.runner.start()
    node.finish()
    node.runner.stop()
    node.offer(2)
    assert node.results == []
    assert node.stats().skipped == 2


def test_stop_from_the_worker(make):
    node = make(max_failures=1)
    stopped = []
    node.runner._on_halt = lambda reason: stopped.append(node.runner.stop())
    node.offer(1, RED)
    node.finish()
    assert stopped == [True]


def test_many_images_from_many_threads(make):
    node = make(cameras='a,b,c', drop_policy='newest')
    threads = [
        threading.Thread(target=lambda s=s: [node.offer(k, source=s) for k in range(300)])
        for s in 'abc'
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    node.finish()
    for source in 'abc':
        stats = node.stats(source)
        assert stats.received == 300
        assert stats.processed + stats.dropped == 300
        own = [r.frame.stamp_ns for r in node.results if r.frame.source == source]
        assert own == sorted(own)
        assert own[-1] == 299


def test_the_network_has_its_next_image_before_the_last_is_decoded():
    node = Node('support.overlapping', drop_policy='none', options={'slow_ms': 20.0})
    node.runner.start()
    for stamp in range(1, 5):
        node.offer(stamp)
    node.finish()
    assert node.stamps == [1, 2, 3, 4]
    calls = node.pipeline.estimator.calls
    for stamp in range(1, 4):
        assert calls.index(('begin', stamp + 1)) < calls.index(('finish', stamp))
    # An image that comes alone does not wait for another.
    node.offer(5)
    node.wait_for_results(5)
    assert node.runner.stop()


def test_settings_change_between_overlapping_images():
    node = Node('support.overlapping', drop_policy='none', options={'slow_ms': 20.0})
    node.runner.start()
    node.offer(1)
    node.wait_for(lambda: node.pipeline.estimator.calls)
    node.runner.configure(node.runner.config.replace(min_score=0.25))
    node.offer(2)
    node.finish()
    assert node.stamps == [1, 2]
    assert [config.min_score for config in node.configs] == [0.5, 0.25]
    assert node.runner.stop()


def test_frames_that_fall_due_together_are_all_published_in_order():
    node = Node('support.holding')
    node.runner.start()
    for stamp in range(1, 8):
        node.offer(stamp)
        node.finish()
    assert node.runner.stop()
    assert node.stamps == [1, 2, 3, 4, 5, 6]
    assert [len(result.people) for result in node.results] == [1] * 6
    assert {result.people[0].track_id for result in node.results} == {1}
