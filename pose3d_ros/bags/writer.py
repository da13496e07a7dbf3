# SPDX-License-Identifier: Apache-2.0
"""Results as a ROS 2 bag (MCAP) with the topics of the node, for ROS 2 and Foxglove."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..messages import SkeletonBuilder, image_message
from ..messages.calibration import info_message
from ..messages.images import compressed_message
from ..node.frame_names import FrameNames
from ..node.host import Host
from ..node.publishing import ResultOutput
from ..node.topics import NODE_NAME
from ..outputs import Run
from ..pipeline import Pipeline
from ..settings.node import NodeConfig
from ..types import Frame, FrameResult
from .adapter import BagAdapter
from .file import BagFile

# A stamp of zero means "no stamp": stamps that count from the beginning of a video begin here.
_BEGIN_NS = 1_000_000_000

IMAGE_CHOICES = ('compressed', 'raw', 'none')


class BagWriter(BagFile):
    """Frames and their people, as the topics of a camera and of the node.

    >>> with BagWriter('walk.mcap', pipeline) as bag:
    ...     for result in pipeline.process(frame).finished:
    ...         bag.write(0, result)

    image: how the frames go into the bag: compressed (JPEG), raw or none.
    """

    def __init__(
        self,
        path: str | Path,
        pipeline: Pipeline | Run,
        *,
        image: str = 'compressed',
        config: NodeConfig | None = None,
        node: str = f'/{NODE_NAME}',
        camera: str = '/camera',
    ) -> None:
        if image not in IMAGE_CHOICES:
            raise ConfigError(f'image must be one of {", ".join(IMAGE_CHOICES)}, not {image!r}')
        super().__init__(path)
        self._pipeline, self._image, self._camera = pipeline, image, camera
        self._config = config or NodeConfig()
        self._adapter = BagAdapter(self, node, self._config)
        host = Host(self.types, self._adapter)
        names = FrameNames(self._config, pipeline.skeleton, node, host.log)
        self._results = ResultOutput('', pipeline.skeleton.name, host, names)
        self._shift_ns: int | None = None

    @classmethod
    def open(cls, path: str, run: Run) -> BagWriter:
        """Of a run."""
        return cls(path, run)

    def write(self, index: int, result: FrameResult) -> None:
        """Add a frame; its number is in its stamp."""
        frame = result.frame
        if self._shift_ns is None:
            self._shift_ns = max(0, _BEGIN_NS - frame.stamp_ns)
            self._write_info(frame.stamp_ns + self._shift_ns)
        time_ns = self._adapter.time_ns = frame.stamp_ns + self._shift_ns
        stamp: dict[str, Any] = {'stamp_ns': time_ns, 'frame_id': frame.frame_id}
        if frame.camera is not None:
            message = info_message(self.types, frame.camera, **stamp)
            self.put(f'{self._camera}/camera_info', 'sensor_msgs/msg/CameraInfo', message, time_ns)
        if self._image == 'raw':
            message = image_message(self.types, frame.image, **stamp)
            self.put(f'{self._camera}/image', 'sensor_msgs/msg/Image', message, time_ns)
        elif self._image == 'compressed':
            message = compressed_message(self.types, frame.image, **stamp)
            topic = f'{self._camera}/image/compressed'
            self.put(topic, 'sensor_msgs/msg/CompressedImage', message, time_ns)
        shifted = Frame(frame.image, time_ns, frame.frame_id, frame.camera)
        self._results.publish(replace(result, frame=shifted), self._config)

    def _write_info(self, time_ns: int) -> None:
        pipeline, self._adapter.time_ns = self._pipeline, time_ns
        builder = SkeletonBuilder(self.types)
        self._adapter.info(builder.info(pipeline.skeleton, pipeline.info, stamp_ns=time_ns))
