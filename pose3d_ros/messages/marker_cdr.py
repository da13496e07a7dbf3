# SPDX-License-Identifier: Apache-2.0
"""visualization_msgs/MarkerArray, serialised without message objects.

Twenty people are thousands of points and colours. Message objects for them would cost several
milliseconds a frame to make and as many to serialise; their bytes are those of NumPy's arrays. The
encoding is CDR (OMG DDS-XTypes, XCDR1, little endian), which every RMW publishes as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ConfigError
from ..types import Array
from .types import Types

ARRAY_TYPE = 'visualization_msgs/msg/MarkerArray'
MARKER_TYPE = 'visualization_msgs/msg/Marker'

# Constants of visualization_msgs/Marker.
ARROW, SPHERE, LINE_LIST, SPHERE_LIST, TEXT = 0, 2, 5, 7, 9
ADD, DELETE, DELETE_ALL = 0, 2, 3

# The fields that are written here, in order: the definition from Foxy's successors on.
FIELDS = (
    'header', 'ns', 'id', 'type', 'action', 'pose', 'scale', 'color', 'lifetime', 'frame_locked',
    'points', 'colors', 'texture_resource', 'texture', 'uv_coordinates', 'text', 'mesh_resource',
    'mesh_file', 'mesh_use_embedded_materials',
)  # fmt: skip

UPRIGHT = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
"""Position and quaternion x, y, z, w of a marker whose points are in its frame."""

_ENCAPSULATION = b'\x00\x01\x00\x00'
_EMPTY = b'\x01\x00\x00\x00\x00\x00\x00\x00'  # a string without characters, and its padding
# texture_resource; texture: stamp, frame, format, data; uv_coordinates.
_TEXTURE = _EMPTY + bytes(8) + 2 * _EMPTY + bytes(8)
# mesh_resource; mesh_file: name, data; mesh_use_embedded_materials; padding to the next marker.
_PADDING = 3
_MESH = 2 * _EMPTY + bytes(5 + _PADDING)
_TAIL = _TEXTURE + _EMPTY + _MESH
_SPACE = 0.5  # of a text's height
_IDS = struct.Struct('<iii')
# Position, orientation, scale, color, lifetime, frame_locked; no points and colors.
_TEXT = struct.Struct('<10d16siI?3x8x')


def check_definition(types: Types) -> None:
    """Raises ConfigError if this installation's Marker has other fields than are written here."""
    marker_class = types(MARKER_TYPE)
    if hasattr(marker_class, 'get_fields_and_field_types'):
        fields = tuple(marker_class.get_fields_and_field_types())
    else:
        fields = tuple(marker_class.__dataclass_fields__)
    if fields != FIELDS:
        raise ConfigError(f'{MARKER_TYPE} has other fields than this package knows: {fields}')


class MarkerArrayWriter:
    """Collects markers that share a header, then gives the serialised array."""

    def __init__(
        self, stamp_ns: int, frame_id: str, *, lifetime_ns: int = 0, frame_locked: bool = False
    ) -> None:
        self._head = struct.pack('<iI', *divmod(stamp_ns, 1_000_000_000)) + _string(frame_id)
        self._lifetime = divmod(lifetime_ns, 1_000_000_000)
        self._locked = frame_locked
        self._prefixes: dict[str, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 4  # the number of markers comes first
        self._markers = 0

    def add(
        self,
        marker_type: int,
        ns: str,
        ids: Sequence[int],
        *,
        scale: ArrayLike,
        color: ArrayLike,
        pose: ArrayLike = UPRIGHT,
        points: Array | None = None,
        colors: Array | None = None,
        action: int = ADD,
    ) -> None:
        """Markers of one type, as many as there are ids; several only before the first text.

        scale (3,) or (N, 3); color (4,) or (N, 4) red, green, blue, alpha in 0..1; pose (7,) or
        (N, 7) as UPRIGHT; points (N, n, 3) and their colors (N, n, 4).
        """
        prefix = self._prefixes.get(ns) or self._prefix(ns)
        number = 0 if points is None else points.shape[1]
        coloured = 0 if colors is None else colors.shape[1]
        made = _layout(len(prefix), self._gap(prefix), number, coloured)
        # Without text a marker ends where it should begin, so that all have the same gap.
        if len(ids) > 1 and made.itemsize % 8:
            raise ValueError('several markers at once stand before those with text')
        rows = np.zeros(len(ids), made)
        rows['prefix'], rows['tail'] = np.void(prefix), np.void(_TAIL)
        rows['id'], rows['type'], rows['action'] = ids, marker_type, action
        rows['pose'], rows['scale'], rows['color'] = pose, scale, color
        rows['sec'], rows['nanosec'] = self._lifetime
        rows['frame_locked'] = self._locked
        if points is not None:
            rows['number'], rows['points'] = number, points
        if colors is not None:
            rows['coloured'], rows['colors'] = coloured, colors
        self._parts.append(rows.tobytes())
        self._size += rows.nbytes
        self._markers += len(ids)

    def add_text(
        self,
        ns: str,
        marker_id: int,
        text: str,
        *,
        height: float,
        color: bytes,
        at: Sequence[float],
    ) -> None:
        """A text of that height in metres at x, y, z, that faces the viewer. color: float32."""
        prefix = self._prefixes.get(ns) or self._prefix(ns)
        part = b''.join(
            (
                prefix,
                _IDS.pack(marker_id, TEXT, ADD),
                bytes(self._gap(prefix)),
                _TEXT.pack(
                    *at,
                    *UPRIGHT[3:],
                    # A space's width: without it RViz leaves more than a metre.
                    _SPACE * height,
                    0.0,
                    height,
                    color,
                    *self._lifetime,
                    self._locked,
                ),
                _TEXTURE,
                _string(text),
                _MESH,
            )
        )
        self._parts.append(part)
        self._size += len(part)
        self._markers += 1

    def delete(self, ns: str, marker_id: int) -> None:
        """Removes a marker."""
        self.add(0, ns, [marker_id], scale=0, color=0, action=DELETE)

    def delete_all(self) -> None:
        """Removes all markers of the topic."""
        self.add(0, '', [0], scale=0, color=0, action=DELETE_ALL)

    def finish(self) -> bytes:
        """The array with its CDR header."""
        last = [self._parts[-1][:-_PADDING]] if self._parts else []
        head = _ENCAPSULATION + struct.pack('<I', self._markers)
        return b''.join([head, *self._parts[:-1], *last])

    def _gap(self, prefix: bytes) -> int:
        """Bytes before the doubles of the next marker, which are aligned to 8."""
        return -(self._size + len(prefix) + _IDS.size) % 8

    def _prefix(self, ns: str) -> bytes:
        """Header and namespace of a marker."""
        made = self._prefixes[ns] = self._head + _string(ns)
        return made


@lru_cache(maxsize=256)
def _layout(prefix: int, gap: int, points: int, colors: int) -> np.dtype[np.void]:
    """Fields of a marker without text, with so many bytes before them."""
    return np.dtype(
        [
            ('prefix', f'V{prefix}'),
            ('id', '<i4'),
            ('type', '<i4'),
            ('action', '<i4'),
            ('gap', f'V{gap}'),
            ('pose', '<f8', 7),
            ('scale', '<f8', 3),
            ('color', '<f4', 4),
            ('sec', '<i4'),
            ('nanosec', '<u4'),
            ('frame_locked', 'u1'),
            ('pad', 'V3'),
            ('number', '<u4'),
            ('points', '<f8', (points, 3)),
            ('coloured', '<u4'),
            ('colors', '<f4', (colors, 4)),
            ('tail', f'V{len(_TAIL)}'),
        ]
    )


def _string(text: str) -> bytes:
    """With padding to what follows."""
    data = text.encode()
    return struct.pack('<I', len(data) + 1) + data + bytes(1 + (-len(data) - 1) % 4)
