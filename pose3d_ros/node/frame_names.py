# SPDX-License-Identifier: Apache-2.0
"""Names of the frames that a node broadcasts: nobody else's.

A frame has one parent. If two nodes broadcast `body_1`, transforms flip between their cameras, and
nobody says so. So a node that hears another one broadcast a name of its own takes new names for all
its frames: they begin with the name of the node.
"""

from __future__ import annotations

import logging
import threading
from collections import deque

from ..messages import stamp_of
from ..messages.diagnostics import Status
from ..messages.transforms import links
from ..messages.types import Message
from ..settings.node import NodeConfig
from ..skeleton import Skeleton
from .host import Log

_OWN_KEPT = 256

_Key = tuple[int, str, float, float]


class FrameNames:
    """What the names of a node's frames begin with. own: the node's full name."""

    def __init__(self, config: NodeConfig, skeleton: Skeleton, own: str, log: Log) -> None:
        self.prefix = config.tf_prefix
        self._cameras = config.camera_names
        self._links = frozenset(name for name, _ in links(skeleton))
        self._fallback = f'{own.strip("/").replace("/", "_")}_{config.tf_prefix}'
        self._log = log
        self._rival = ''
        self._lock = threading.Lock()
        # What this node has broadcast comes back to it.
        self._own: deque[_Key] = deque(maxlen=_OWN_KEPT)

    def sent(self, transforms: list[Message]) -> None:
        """Remember what is about to be broadcast in one message."""
        with self._lock:
            self._own.append(_key(transforms[0]))

    def heard(self, message: Message, config: NodeConfig) -> bool:
        """Take a TFMessage of anybody; whether the prefix has changed for it."""
        if not config.publish_tf or self._rival or not message.transforms:
            return False
        children = (str(item.child_frame_id).lstrip('/') for item in message.transforms)
        rival = next((child for child in children if self._is_ours(child, config)), '')
        if not rival:
            return False
        with self._lock:
            if _key(message.transforms[0]) in self._own:
                return False
        self._rival, self.prefix = rival, self._fallback
        self._log(logging.WARNING, self._line())
        return True

    def status(self) -> Status:
        """For the diagnostics."""
        line = self._line() if self._rival else f'{self.prefix}body_1 and so on'
        return Status('frames', message=line, values={'prefix': self.prefix})

    def _is_ours(self, child: str, config: NodeConfig) -> bool:
        if not child.startswith(self.prefix):
            return False
        name, _, slot = child[len(self.prefix) :].rpartition('_')
        if not slot.isdigit() or not 1 <= int(slot) <= config.tf_max_people:
            return False
        for camera in self._cameras:
            link = name.removeprefix(f'{camera}_') if camera else name
            if link == 'body' or (config.tf_joints == 'all' and link in self._links):
                return not camera or link != name
        return False

    def _line(self) -> str:
        return (
            f'somebody else broadcasts the frame {self._rival}: the names of all frames of this '
            f'node begin with {self.prefix} ({self.prefix}body_1)'
        )


def _key(item: Message) -> _Key:
    at = item.transform.translation
    return stamp_of(item.header), str(item.child_frame_id), float(at.x), float(at.y)
