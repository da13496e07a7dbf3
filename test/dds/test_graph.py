# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip('cyclonedds')

from support.network import spin_until

from pose3d_ros.node.qos import LATCHED, SENSOR_DATA, Profile

STRING, IMAGE = 'std_msgs/msg/String', 'sensor_msgs/msg/Image'


@pytest.mark.parametrize('distro', ['jazzy', 'humble'])
def test_publishers_and_who_they_are(network, distro):
    node, driver = network.node('people', distro=distro), network.node('driver', distro=distro)
    driver.publisher('/camera/image', IMAGE, SENSOR_DATA)
    driver.publisher('/info', STRING, LATCHED)
    node.subscribe('/nobody', IMAGE, SENSOR_DATA, lambda raw: None)

    def peers(topic):
        return {(p.node, p.type_name, p.profile.reliable) for p in node.graph.publishers(topic)}

    spin_until([node, driver], lambda: peers('/camera/image') == {('/driver', IMAGE, False)})
    spin_until([node, driver], lambda: peers('/info') == {('/driver', STRING, True)})
    (info,) = node.graph.publishers('/info')
    assert info.profile.transient_local
    assert peers('/nobody') == set()
    assert {('/camera/image', IMAGE), ('/info', STRING)} <= set(node.graph.topics())
    assert '/nobody' not in dict(node.graph.topics())


def test_nodes_come_and_go(network):
    node, twin = network.node('people'), network.node('people')
    spin_until([node, twin], lambda: sorted(node.graph.nodes()) == ['/people', '/people'])
    publisher = twin.publisher('text', STRING, Profile())
    spin_until([node, twin], lambda: node.graph.publishers('/text'))
    assert publisher.listeners() == 0
    twin.close()
    network._nodes.remove(twin)
    spin_until([node], lambda: node.graph.nodes() == ['/people'])
    spin_until([node], lambda: not node.graph.publishers('/text'))
