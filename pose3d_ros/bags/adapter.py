# SPDX-License-Identifier: Apache-2.0
"""The adapter of a node whose topics are written into a bag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from ..messages.skeletons import INFO_TYPE
from ..messages.types import Message
from ..node.frames import FrameTree
from ..node.topics import OUTPUTS, output_topic
from ..node.transforms import TF
from ..settings.node import NodeConfig
from ..types import Array
from .ahead import AHEAD_NS, RecordedTransforms
from .file import BagFile


class BagAdapter:
    """Writes what a node publishes, at the time `time_ns` of the recording.

    node: its full name. outputs: those of OUTPUTS that are written. transforms: of the recording.
    published: arrays of skeletons by camera.
    """

    def __init__(
        self,
        bag: BagFile,
        node: str,
        config: NodeConfig,
        *,
        outputs: Collection[str] = ('skeletons', 'markers'),
        transforms: RecordedTransforms | None = None,
    ) -> None:
        self.time_ns = 0
        self.published: Counter[str] = Counter()
        self._bag, self._node, self._transforms = bag, node, transforms
        self._outputs = outputs
        # Also without people; topics of the same names in a recording are replaced by these.
        switched_off = {'markers'} if not config.publish_markers else set()
        for camera in config.camera_names:
            for output in OUTPUTS:
                if output in outputs and output not in switched_off:
                    bag.connect(self._topic(camera, output), OUTPUTS[output])

    def clock(self) -> int:
        """Time of the recording, nanoseconds."""
        return self.time_ns

    def timer(self) -> float:
        """The same in seconds."""
        return self.time_ns * 1e-9

    def info(self, message: Message) -> None:
        """Write the EstimatorInfo, latched."""
        topic = f'{self._node}/estimator_info'
        self._bag.put(topic, INFO_TYPE, message, self.time_ns, latched=True)

    def listeners(self, camera: str, output: str) -> int:
        """1 for what is written."""
        return int(output in self._outputs)

    def publish(self, camera: str, output: str, message: Message | bytes) -> None:
        """Write a message."""
        self._bag.put(self._topic(camera, output), OUTPUTS[output], message, self.time_ns)
        self.published[camera] += output == 'skeletons'

    def broadcast(self, transforms: list[Message]) -> None:
        """Write to /tf."""
        self._bag.put('/tf', TF, self._bag.types(TF)(transforms=transforms), self.time_ns)

    def lookup(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> tuple[Array, Array]:
        """Rotation and translation from source to target, as recorded; LookupError if unknown."""
        if self._transforms is None:
            raise LookupError(f'no transforms to {target} are recorded')
        wait_ns = max(AHEAD_NS, round(timeout_s * 1e9))
        return self._transforms.lookup(target, source, stamp_ns, self.time_ns, wait_ns)

    def newest(self, target: str, source: str) -> tuple[Array, Array, int | None]:
        """The newest that was recorded until now, and its stamp; LookupError if unknown."""
        if self._transforms is None:
            raise LookupError(f'no transforms to {target} are recorded')
        return self._transforms.newest(target, source, self.time_ns)

    def frames(self) -> FrameTree:
        """What the recorded transforms connect."""
        if self._transforms is None:
            return FrameTree({})
        return self._transforms.frames(self.time_ns)

    def _topic(self, camera: str, output: str) -> str:
        return output_topic(camera, output).replace('~', self._node, 1)
