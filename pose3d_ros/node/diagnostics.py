# SPDX-License-Identifier: Apache-2.0
"""A node's state as diagnostic statuses (REP-107): where is it slow, and what is missing?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..messages.diagnostics import ERROR, OK, WARN, Status
from ..settings.node import NodeConfig
from ..types import EstimatorInfo, Floor
from .clocks import auxiliary_clock_problem, image_clock_problem
from .inputs import AuxiliaryInput
from .monitor import Report, SourceStats


@dataclass(frozen=True)
class CameraState:
    """What is known of a camera beside its runner's statistics.

    topic: resolved. encoding: of the last image. calibration: why there is none, empty if there is
    one. frame_problem: why the images' frame cannot be what the settings say, empty if it can. qos:
    descriptions of incompatible peers. lost_samples: lost on the way. auxiliary: other nodes'
    topics that the estimator makes use of.
    """

    topic: str
    encoding: str = ''
    calibration: str = ''
    assumed: bool = False
    frame_problem: str = ''
    late_s: float | None = None
    """From the last image's stamp to its arrival."""
    zero_stamps: int = 0
    tf_failures: int = 0
    tf_problem: str = ''
    tf_wait_ms: tuple[float, float] | None = None
    """Mean and 95th percentile of the time that finished images waited for their transforms."""
    qos: Sequence[str] = ()
    lost_samples: int = 0
    auxiliary: Sequence[AuxiliaryInput] = ()


def clock_problems(cameras: dict[str, CameraState]) -> dict[str, str]:
    """By topic why its stamps are of another clock."""
    out = {}
    for state in cameras.values():
        out[state.topic] = image_clock_problem(state.topic, state.late_s)
        for other in state.auxiliary:
            if not other.matched:
                problem = auxiliary_clock_problem(other.topic, state.topic, other.offset_s)
                out[other.topic] = problem
    return {topic: problem for topic, problem in out.items() if problem}


def statuses(
    report: Report,
    cameras: dict[str, CameraState],
    info: EstimatorInfo,
    config: NodeConfig,
    needed: bool,
) -> list[Status]:
    """All statuses of a node; with several cameras their names stand in front of some.

    needed: whether anybody listens to the results.
    """
    made = []
    for name, state in cameras.items():
        prefix = f'{name} ' if name else ''
        stats = report.sources.get(name, SourceStats())
        made.append(_input(f'{prefix}input', state, stats, config))
        made += [
            _auxiliary(f'{prefix}{other.name}', other, state.topic) for other in state.auxiliary
        ]
        made.append(_calibration(f'{prefix}calibration', state))
        if config.target_frame:
            made.append(_transform(f'{prefix}transform', state, config))
        made.append(_tracking(f'{prefix}tracking', stats, report))
    made.append(_inference(report, info, config, needed))
    made.append(_latency(report, config))
    return made


def _input(name: str, state: CameraState, stats: SourceStats, config: NodeConfig) -> Status:
    status = Status(name)
    if stats.age_s is None:
        status.problem(ERROR, f'no image has come on {state.topic}')
    elif stats.age_s > config.input_timeout_s:
        status.problem(ERROR, f'no image on {state.topic} for {stats.age_s:.1f} s')
    if stats.problem:
        status.problem(ERROR, stats.problem)
    if state.frame_problem:
        status.problem(ERROR, state.frame_problem)
    if clock_problem := image_clock_problem(state.topic, state.late_s):
        status.problem(WARN, clock_problem)
    for description in state.qos:
        status.problem(ERROR, f'incompatible QoS: {description}')
    if state.zero_stamps:
        status.problem(WARN, 'images without a stamp: the time of their arrival is used')
    if stats.backwards:
        status.problem(WARN, f'time went backwards {stats.backwards} times')
    if not status.message:
        status.message = f'{stats.rate_in:.1f} Hz'
    width, height = stats.size or (0, 0)
    status.values = {
        'topic': state.topic,
        'rate (Hz)': f'{stats.rate_in:.2f}',
        'age of last image (s)': '' if stats.age_s is None else f'{stats.age_s:.3f}',
        'received': str(stats.received),
        'dropped for newer ones': str(stats.dropped),
        'skipped (paused or nobody listens)': str(stats.skipped),
        'undecodable': str(stats.bad),
        'lost in transport': str(state.lost_samples),
        'without stamp': str(state.zero_stamps),
        'stamps backwards': str(stats.backwards),
        'stamps repeated': str(stats.equal),
        'encoding': state.encoding,
        'size': f'{width}x{height}' if stats.size else '',
        'frame_id': stats.last_frame_id,
    }
    return status


def _auxiliary(name: str, state: AuxiliaryInput, image_topic: str) -> Status:
    status = Status(name)
    level = ERROR if state.needed else WARN
    if state.problem:
        status.problem(ERROR, state.problem)
    elif not state.received:
        status.problem(level, f'nothing has come on {state.topic}')
    elif not state.matched:
        problem = auxiliary_clock_problem(state.topic, image_topic, state.offset_s)
        status.problem(
            level, problem or f'nothing on {state.topic} is of the time of the last image'
        )
    elif state.near > state.exact:
        status.problem(WARN, f'{state.topic}: most stamps are not those of images')
    images = state.exact + state.near + state.missing
    status.message = status.message or f'{state.received} messages'
    status.values = {
        'topic': state.topic,
        'received': str(state.received),
        'images with their own': str(state.exact),
        'images with one nearby': str(state.near),
        'images without': str(state.missing),
        'mean wait (ms)': f'{1e3 * state.waited_s / images:.1f}' if images else '',
    }
    return status


def _calibration(name: str, state: CameraState) -> Status:
    if state.calibration:
        return Status(name, WARN, f'{state.calibration}: positions are relative to the body')
    if state.assumed:
        return Status(name, WARN, 'the focal length is assumed, not calibrated')
    return Status(name, OK, 'calibrated')


def _transform(name: str, state: CameraState, config: NodeConfig) -> Status:
    status = Status(name, OK, f'to {config.target_frame}')
    if state.tf_problem:
        status = Status(name, ERROR, state.tf_problem)
    status.values = {'failures': str(state.tf_failures), 'when late': config.tf_late}
    if state.tf_wait_ms is not None:
        mean, p95 = state.tf_wait_ms
        status.values['waited for it'] = f'{mean:.1f} ms (95 %: {p95:.1f} ms)'
    return status


def _tracking(name: str, stats: SourceStats, report: Report) -> Status:
    values = {
        'people': str(stats.people),
        'tracks ended': str(stats.ended),
        'resets': str(report.resets),
        'floor': _floor(stats.floor),
    }
    return Status(name, OK, f'{stats.people} people', values)


def _floor(floor: Floor | None) -> str:
    """Where the camera is above the floor: angles of an optical frame, down and to the right."""
    if floor is None:
        return 'unknown'
    x, y, z = floor.up
    down = math.degrees(math.atan2(-z, math.hypot(x, y)))
    rolled = math.degrees(math.atan2(x, -y))
    sigma = math.degrees(floor.tilt_sigma)
    return (
        f'{floor.height_m:.2f} m below the camera (sigma {floor.height_sigma:.2f} m), which looks '
        f'{down:.1f} deg down and is rolled by {rolled:.1f} deg (sigma {sigma:.1f} deg)'
    )


def _inference(report: Report, info: EstimatorInfo, config: NodeConfig, needed: bool) -> Status:
    out = sum(stats.rate_out for stats in report.sources.values())
    status = Status('inference')
    if report.halted:
        status.problem(ERROR, f'gave up: {report.last_failure}')
    elif report.failures_in_a_row:
        status.problem(ERROR, f'failing: {report.last_failure}')
    elif not report.enabled:
        status.message = 'paused'
    elif not needed:
        status.message = 'idle: nobody listens'
    elif 0 < out < config.min_rate_hz:
        status.problem(WARN, f'{out:.1f} Hz, less than {config.min_rate_hz:g}')
    if not status.message:
        status.message = f'{out:.1f} Hz'
    status.values = {
        'model': info.model,
        'model version': info.version,
        'backend': info.backend,
        'device': info.device,
        'precision': info.precision,
        'rate out (Hz)': f'{out:.2f}',
        'failures': str(report.failures),
        'failures in a row': str(report.failures_in_a_row),
        'last failure': report.last_failure,
    }
    return status


def _latency(report: Report, config: NodeConfig) -> Status:
    status = Status('latency')
    total = report.latency_ms.get('total')
    if total is None:
        status.message = 'nothing measured yet'
    else:
        status.message = f'mean {total[0]:.1f} ms, p95 {total[1]:.1f} ms from stamp to publication'
        delay = report.latency_ms.get('delay')
        if delay is not None and delay[0] > 0:
            status.message += f'; poses belong to frames {delay[0]:.0f} ms before the newest'
        if total[1] > config.latency_warn_ms:
            status.problem(WARN, f'more than {config.latency_warn_ms:g} ms')
        if total[0] < 0:
            status.problem(WARN, "the camera's clock is ahead of this machine's")
    for part, (mean, p95) in report.latency_ms.items():
        status.values[f'{part} mean (ms)'] = f'{mean:.2f}'
        status.values[f'{part} p95 (ms)'] = f'{p95:.2f}'
    return status
