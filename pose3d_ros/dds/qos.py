# SPDX-License-Identifier: Apache-2.0
"""Quality of service in Cyclone DDS."""

from __future__ import annotations

from typing import Any

from cyclonedds.qos import Policy, Qos
from cyclonedds.util import duration

from ..node.qos import Profile


def cyclone_qos(profile: Profile, user_data: bytes = b'') -> Qos:
    """A profile as Cyclone DDS wants it."""
    policies: list[Any] = [
        Policy.Reliability.Reliable(duration(milliseconds=100))
        if profile.reliable
        else Policy.Reliability.BestEffort,
        Policy.Durability.TransientLocal if profile.transient_local else Policy.Durability.Volatile,
        Policy.History.KeepLast(profile.depth),
        # ROS 2 speaks XCDR1.
        Policy.DataRepresentation(use_cdrv0_representation=True, use_xcdrv2_representation=False),
    ]
    if user_data:
        policies.append(Policy.Userdata(user_data))
    return Qos(*policies)


# The numbers of the DDS specification.
POLICIES = {
    2: 'durability',
    4: 'deadline',
    8: 'liveliness',
    11: 'reliability',
    12: 'destination order',
    13: 'history',
    23: 'data representation',
}
