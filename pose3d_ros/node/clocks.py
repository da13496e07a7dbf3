# SPDX-License-Identifier: Apache-2.0
"""Stamps of another clock: time since boot, a bag's or a simulator's time, a machine's own."""

from __future__ import annotations

# Beyond what networks and queues delay, and what clocks of machines that nobody synchronises drift.
_OTHER_CLOCK_S = 10.0
_OTHER_TOPIC_S = 1.0


def image_clock_problem(topic: str, late_s: float | None) -> str:
    """Why the stamps of images cannot be of this node's clock; empty if they can.

    late_s: arrival by this node's clock minus stamp, of the last image.
    """
    if late_s is None or abs(late_s) <= _OTHER_CLOCK_S:
        return ''
    side = 'behind' if late_s > 0 else 'ahead of'
    return (
        f"stamps on {topic} are {abs(late_s):.1f} s {side} this node's clock: set use_sim_time for "
        'a bag or a simulator, else let the driver stamp in system time'
    )


def auxiliary_clock_problem(topic: str, image_topic: str, offset_s: float | None) -> str:
    """Why messages of a topic never belong to an image; empty if clocks are not the reason.

    offset_s: newest stamp of the topic minus that of the last image.
    """
    if offset_s is None or abs(offset_s) <= _OTHER_TOPIC_S:
        return ''
    side = 'ahead of' if offset_s > 0 else 'behind'
    return (
        f'stamps on {topic} are {abs(offset_s):.1f} s {side} those on {image_topic}: '
        'both drivers must stamp in the same clock'
    )
