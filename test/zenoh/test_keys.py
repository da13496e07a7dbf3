# SPDX-License-Identifier: Apache-2.0
"""Against the examples in rmw_zenoh's docs/design.md."""

from __future__ import annotations

import pytest

pytest.importorskip('xxhash')
pytest.importorskip('rosbags')

from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.node.qos import LATCHED, SENSOR_DATA, Profile
from pose3d_ros.standalone.names import Names
from pose3d_ros.zenoh.keys import (
    NODE,
    PUBLISHER,
    SUBSCRIPTION,
    Token,
    attachment,
    identifier,
    parse_attachment,
    parse_token,
    token_of_endpoint,
    token_of_node,
    topic_key,
)

STRING = 'std_msgs/msg/String'
HASH = 'RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18'
SESSION = '8b20917502ee955ac4476e0266340d5c'
TALKER = (
    f'@ros2_lv/0/{SESSION}/0/10/MP/%/%/talker/%chatter/std_msgs::msg::dds_::String_/{HASH}'
    '/::,7:,:,:,,'
)


def test_topics():
    wire = 'std_msgs::msg::dds_::String_'
    assert topic_key(0, '/chatter', STRING, HASH) == f'0/chatter/{wire}/{HASH}'
    assert topic_key(7, '/robot1/chatter', STRING, HASH) == f'7/robot1/chatter/{wire}/{HASH}'
    assert StandaloneTypes().type_hash(STRING) == HASH


def test_tokens():
    token = Token(PUBLISHER, '/talker', '/chatter', STRING, HASH)
    assert token_of_endpoint(0, SESSION, 10, Names('talker'), token, Profile(depth=7)) == TALKER
    assert parse_token(TALKER) == token
    assert (
        token_of_node(0, SESSION, Names('listener')) == f'@ros2_lv/0/{SESSION}/0/0/NN/%/%/listener'
    )


def test_names_with_slashes_go_there_and_back():
    names = Names('talker', '/robot1/head')
    text = token_of_node(3, SESSION, names)
    assert text.endswith('/NN/%/%robot1%head/talker')
    assert parse_token(text) == Token(NODE, '/robot1/head/talker')
    token = Token(SUBSCRIPTION, names.full, '/robot1/image', STRING, HASH)
    assert parse_token(token_of_endpoint(3, SESSION, 4, names, token, LATCHED)) == token
    # Lyrical tells more of images.
    assert parse_token(f'{TALKER}/cpu:') == parse_token(TALKER)


@pytest.mark.parametrize(
    ('profile', 'text'),
    [
        (Profile(depth=42), '::,:,:,:,,'),
        (SENSOR_DATA, '2::,5:,:,:,,'),
        (LATCHED, ':1:,1:,:,:,,'),
    ],
)
def test_quality_of_service(profile, text):
    token = Token(PUBLISHER, '/talker', '/chatter', STRING, HASH)
    assert token_of_endpoint(0, SESSION, 1, Names('talker'), token, profile).endswith(f'/{text}')


@pytest.mark.parametrize(
    'text', ['@ros2_lv/0/a/0/1/MP/%/%/talker', '@ros2_lv/0/a', 'other/0/a/0/0/NN/%/%/talker', '']
)
def test_what_is_no_token(text):
    assert parse_token(text) is None


def test_attachments():
    gid = identifier(TALKER)
    data = attachment(3, 2**60 + 1, gid)
    # Two numbers of eight bytes, a length, sixteen bytes: Zenoh's serialisation of the three.
    assert data == bytes([3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 16, 16]) + gid
    assert parse_attachment(data) == (3, gid)
    assert parse_attachment(data[:-1]) is None


def test_identifiers_are_xxh3():
    # XXH3's 128 bits of nothing are 99aa06d3014798d8 6001c324468d497f; the low half comes first.
    assert identifier('').hex() == '7f498d4624c30160d8984701d306aa99'
