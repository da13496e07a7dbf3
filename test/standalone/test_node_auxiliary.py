# SPDX-License-Identifier: Apache-2.0
"""Boxes, keypoints and depth of other nodes reach `pose3d node`."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

pytest.importorskip('rosbags')

from support.bench import BEST_EFFORT, DIAGNOSTICS, IMAGE, SKELETONS, Bench, S, problems
from support.keypoints import COCO, array_of, pixels_at

from pose3d_ros.messages import make_header
from pose3d_ros.messages.detections import DETECTIONS
from pose3d_ros.messages.skeletons import INFO_TYPE
from pose3d_ros.node.qos import LATCHED

pytestmark = pytest.mark.slow


def test_boxes_of_another_node(network, tmp_path):
    from support.metro_graph import MetroGraph, write_graph

    from pose3d_ros.networks import metro as parts

    known = parts.JOINTS[19]
    graph = tmp_path / 'toy.pb'
    write_graph(graph, MetroGraph(known.names, known.edges, known.internal, known.inside, width=4))
    bench = Bench(
        network, '--estimator', 'metro', '--model', graph, '--allow-random-weights',
        '--set', 'metro.detector=topic', '--set', 'metro.keypoints=none',
        '-r', 'detections:=/yolo/detections',
    )  # fmt: skip
    boxes = bench.node.publisher('/yolo/detections', DETECTIONS, BEST_EFFORT)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    bench.ready()
    bench.spin_until(boxes.listeners)
    assert bench.exchange(got).skeletons == []
    for x in (100.0, 400.0):
        array = bench.types(DETECTIONS)(header=make_header(bench.types, bench.stamp_ns, 'cam'))
        detection = bench.types('vision_msgs/msg/Detection2D')()
        detection.bbox.center.position.x, detection.bbox.center.position.y = x, 240.0
        detection.bbox.size_x, detection.bbox.size_y = 120.0, 300.0
        array.detections.append(detection)
        for _ in range(20):
            array.header = make_header(bench.types, bench.stamp_ns + S // 30, 'cam')
            boxes.publish(array)
            people = present(bench.exchange(got))
            if people and abs(people[-1].roi.x_offset + people[-1].roi.width / 2 - x) < 100:
                break
        else:
            raise AssertionError(f'nobody at {x}: {got[-1]}')
    assert bench.stop() == 0


def present(array):
    """Those who are there, without the ends of tracks."""
    return [person for person in array.skeletons if person.joints]


@pytest.mark.parametrize('estimator', ['lifter', 'lifting_from_the_deep'])
def test_keypoints_of_another_node(network, estimator):
    bench = Bench(
        network, '--estimator', estimator, '--set', f'{estimator}.keypoints=topic',
        '-r', 'keypoints:=/pose2d/skeletons', '-r', 'keypoints_info:=/pose2d/estimator_info',
    )  # fmt: skip
    keypoints = bench.node.publisher('/pose2d/skeletons', SKELETONS, BEST_EFFORT)
    info = bench.node.publisher('/pose2d/estimator_info', INFO_TYPE, LATCHED)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    diagnostics = bench.listen('/diagnostics', DIAGNOSTICS)
    bench.ready()
    bench.spin_until(lambda: keypoints.listeners() and info.listeners())
    bench.spin_until(lambda: any(problems(d, 'keypoints') for d in diagnostics))
    assert '/pose2d/skeletons' in problems(diagnostics[-1], 'keypoints')[0]

    def answer(**changes):
        stamp_ns = bench.stamp_ns + S // 30
        header = make_header(bench.types, stamp_ns, 'cam')
        keypoints.publish(array_of(bench.types, header, pixels_at(0.5), **changes))
        return bench.exchange(got, stamp_ns=stamp_ns, tries=1)

    def lifted(**changes):
        for _ in range(20):
            with suppress(AssertionError):
                people = present(answer(**changes))
                if people and people[0].position_source:
                    return people
        raise AssertionError(f'nobody; the node says: {bench.process.log.read_text()}')

    (person,) = lifted()
    assert len(person.joints) == (22 if estimator == 'lifter' else 17)
    assert person.root.position.x == pytest.approx(0.5, abs=0.3)
    assert person.root.position.z == pytest.approx(4.0, abs=1.0)
    # A convention that nobody knows, until somebody tells.
    diagnostics.clear()
    for _ in range(3):
        with suppress(AssertionError):
            answer(convention='their_17')
    bench.spin_until(lambda: any('their_17' in str(problems(d, 'keypoints')) for d in diagnostics))
    theirs = bench.types(INFO_TYPE)(convention='their_17', joint_names=list(COCO.names))
    theirs.parents = np.array(COCO.parents, np.int16)
    info.publish(theirs)
    assert lifted(convention='their_17')
    assert bench.stop() == 0


def test_depth_of_a_depth_camera(network):
    bench = Bench(
        network, '--depth-transport', 'raw', '--depth-wait-s', '0.5',
        '-r', 'depth_image:=/camera/aligned_depth', '--diagnostics-period-s', '0.2',
    )  # fmt: skip
    depths = bench.node.publisher('/camera/aligned_depth', IMAGE, BEST_EFFORT)
    got = bench.listen('/pose3d_estimator/skeletons', SKELETONS)
    diagnostics = bench.listen('/diagnostics', DIAGNOSTICS)
    bench.ready()
    bench.spin_until(depths.listeners)

    def person(metres, source, frame_id='cam'):
        values = np.full((480, 640), round(1000 * metres), np.uint16)
        for _ in range(20):
            stamp_ns = bench.stamp_ns + S // 30
            message = bench.types(IMAGE)(
                header=make_header(bench.types, stamp_ns, frame_id), encoding='16UC1',
                width=640, height=480, step=1280,
            )  # fmt: skip
            message.data = values.view(np.uint8).ravel()
            depths.publish(message)
            with suppress(AssertionError):
                people = bench.exchange(got, stamp_ns=stamp_ns, tries=1).skeletons
                if people and people[0].position_source == source:
                    return people[0]
        raise AssertionError(f'no such person; the node says: {bench.process.log.read_text()}')

    # The size of the blob says 3 m.
    assert person(4.0, 4).root.position.z == pytest.approx(4.09, abs=0.1)
    bench.spin_until(lambda: not problems(diagnostics[-1], 'depth_image'))
    # Of a camera beside it: people are placed without, and the diagnostics say why.
    assert person(4.0, 2, 'depth_cam').root.position.z == pytest.approx(3.0, rel=0.2)
    bench.spin_until(lambda: 'depth_cam' in str(problems(diagnostics[-1], 'depth_image')))
    assert bench.stop() == 0
