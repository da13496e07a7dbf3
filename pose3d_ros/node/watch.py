# SPDX-License-Identifier: Apache-2.0
"""Says why nothing comes out: a node whose topic is misspelt must not be silent about it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .core import NodeCore
from .graph import Graph, Peer, namesakes, nearest_images, unheard
from .host import Log
from .qos import Profile

SILENT_AFTER_S = 5.0
PERIOD_S = 0.5
"""How often look() should be called."""

# So many camera_info within SILENT_AFTER_S tell the rate of a camera.
_ENOUGH_INFOS = 10
_REMEDY = (
    'of a large image every fragment has to arrive: let sockets have larger buffers (sudo sysctl '
    '-w net.core.rmem_max=33554432), take image_transport: compressed'
)


@dataclass(frozen=True)
class Heard:
    """The images of a camera as they are subscribed to. topic: its full name."""

    topic: str
    type_name: str
    profile: Profile


@dataclass(frozen=True)
class _Counts:
    """Messages of one camera."""

    images: int
    infos: int

    def __sub__(self, other: _Counts) -> _Counts:
        return _Counts(self.images - other.images, self.infos - other.infos)


class Watch:
    """Looks after a node that is active, and says each thing once until it is activated again.

    own: full name of the node. timer: seconds of a clock that never goes back.
    """

    def __init__(
        self, core: NodeCore, graph: Graph, own: str, log: Log, timer: Callable[[], float]
    ) -> None:
        self._core, self._graph, self._own = core, graph, own
        self._log, self._timer = log, timer
        self._said: set[str] = set()
        self._first: dict[str, _Counts] = {}
        self._before: dict[str, _Counts] = {}
        self._next = 0.0

    def start(self) -> None:
        """The node was activated."""
        self._said.clear()
        self._first = {name: _Counts(*self._core.arrivals(name)) for name in self._names}
        self._before = dict(self._first)
        self._next = self._timer() + SILENT_AFTER_S

    def look(self, inputs: Mapping[str, Heard]) -> None:
        """Say what is amiss. inputs: the images by camera."""
        now = self._timer()
        if now < self._next:
            return
        self._next = now + SILENT_AFTER_S
        came = False
        for camera, heard in inputs.items():
            counts = _Counts(*self._core.arrivals(camera))
            self._images(camera, heard, counts - self._before[camera], counts - self._first[camera])
            came = came or counts.images > self._before[camera].images
            self._before[camera] = counts
        if came and self._core.config.enabled and not any(map(self._core.needed, self._names)):
            self._once(
                'nobody listens',
                logging.INFO,
                'nobody listens to skeletons, markers or debug_image: images are not processed '
                'until somebody does (always_on: true processes them all the same)',
            )
        others = namesakes(self._graph.nodes(), self._own)
        if others:
            self._once(
                'namesakes',
                logging.WARNING,
                f'there are {others + 1} nodes called {self._own}: their topics and services get '
                'mixed up; give each a name of its own (__node:=, name:= of the launch files, '
                '--name)',
            )

    @property
    def _names(self) -> tuple[str, ...]:
        return self._core.config.camera_names

    def _images(self, camera: str, heard: Heard, new: _Counts, total: _Counts) -> None:
        """new: what came since the last look; total: since the node was activated."""
        if new.images and not (new.infos >= _ENOUGH_INFOS and 2 * new.images < new.infos):
            return
        peers = self._graph.publishers(heard.topic)
        fitting = [peer for peer in peers if not unheard(peer, heard.type_name, heard.profile)]
        if not fitting and not total.images:
            self._once(f'images {camera}', logging.WARNING, self._silent(heard, peers))
        rests = total.images and total.infos and not new.infos
        if fitting and not rests:
            self._once(f'images {camera}', logging.WARNING, _lost(heard, fitting, new))

    def _silent(self, heard: Heard, peers: list[Peer]) -> str:
        line = f'no image on {heard.topic} within {SILENT_AFTER_S:g} s: '
        if peers:
            reasons = [
                f'{peer.name} {unheard(peer, heard.type_name, heard.profile)}' for peer in peers
            ]
            return line + '; '.join(dict.fromkeys(reasons))
        names = nearest_images(self._graph, heard.topic, self._own)
        others = f'these image topics exist: {", ".join(names)}' if names else 'no images at all'
        return f'{line}nobody publishes it; {others}'

    def _once(self, key: str, level: int, line: str) -> None:
        if key not in self._said:
            self._said.add(key)
            self._log(level, line)


def _lost(heard: Heard, peers: list[Peer], new: _Counts) -> str:
    names = ', '.join(dict.fromkeys(peer.name for peer in peers))
    counts = f'{new.images or "no"} image{"s" * (new.images != 1)}'
    if new.infos:
        counts += f' and {new.infos} camera_info'
    best_effort = not heard.profile.reliable and all(peer.profile.reliable for peer in peers)
    end = ', or reliability: reliable' if best_effort else ''
    return (
        f'{names} publishes {heard.topic}, and within {SILENT_AFTER_S:g} s {counts} came: '
        f'{_REMEDY}{end}'
    )
