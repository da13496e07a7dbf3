# SPDX-License-Identifier: Apache-2.0
"""The generated message classes of ROS packages."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import ConfigError
from ..node.transforms import TF
from ..settings.node import NodeConfig


def message_class(name: str) -> type[Any]:
    """The class of a message, as of 'std_msgs/msg/Header'.

    Raises ConfigError if its package is not installed.
    """
    return message_class_for('this node', name)


def message_class_for(what: str, name: str) -> type[Any]:
    """The class of a message that a setting or a topic needs; ConfigError names that too."""
    package, _, type_name = name.split('/')
    try:
        made: type[Any] = getattr(import_module(f'{package}.msg'), type_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'{what} needs {name}, but {package} is not installed: '
            f'apt install ros-$ROS_DISTRO-{package.replace("_", "-")}'
        ) from error
    return made


def check_messages(config: NodeConfig) -> None:
    """Raises ConfigError if a setting needs messages that are not installed."""
    for setting in ('target_frame', 'gravity_frame', 'floor_frame', 'publish_tf'):
        if getattr(config, setting):
            message_class_for(setting, TF)
