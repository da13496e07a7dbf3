# SPDX-License-Identifier: Apache-2.0
"""Adapters of a node's core that need no topics."""

from __future__ import annotations

from pose3d_ros.node.frames import FrameTree


class Memory:
    """Keeps what is published: (camera, output, message)."""

    def __init__(self, *listening: str) -> None:
        self.listening = set(listening)
        self.sent: list = []
        self.transforms: list = []
        self.tf = None

    def listeners(self, camera, output) -> int:
        return int(output in self.listening)

    def publish(self, camera, output, message) -> None:
        self.sent.append((camera, output, message))

    def broadcast(self, transforms) -> None:
        self.transforms.append(transforms)

    def lookup(self, target, source, stamp_ns, timeout_s):
        if self.tf is None:
            raise LookupError(f'no transform from {source} to {target}')
        return self.tf

    def frames(self) -> FrameTree:
        return FrameTree({})
