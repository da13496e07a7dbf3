# SPDX-License-Identifier: Apache-2.0
"""Every setting, its default, range and description: the one place for all of them.

The same names are fields here, keys in YAML, ROS parameters, and (with dashes) options of the
command line. Settings of one estimator live in its file, as its `Options`, and are called
`<estimator>.<name>`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from ..errors import ConfigError
from ..skeleton import SKELETONS

Value = bool | int | float | str
T = TypeVar('T')


@dataclass(frozen=True)
class Setting:
    """What is known of one setting beside its default."""

    name: str
    default: Value
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def type(self) -> type:
        """bool, int, float or str."""
        return type(self.default)

    def check(self, value: Any) -> Value:
        """The value in the setting's type; ConfigError names setting, value and what is allowed."""
        wanted = self.type
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not wanted:
            raise ConfigError(
                f'{self.name} must be of type {wanted.__name__}, not {value!r} '
                f'({type(value).__name__})'
            )
        if self.choices and value not in self.choices:
            raise ConfigError(
                f'{self.name} must be one of {", ".join(self.choices)}, not {value!r}'
            )
        low, high = self.low, self.high
        if isinstance(value, (int, float)):
            if not math.isfinite(value) or not (
                (low is None or value >= low) and (high is None or value <= high)
            ):
                raise ConfigError(f'{self.name} must lie in {self.range}, not {value!r}')
        return cast(Value, value)

    @property
    def range(self) -> str:
        """The allowed range in words."""
        low = '-inf' if self.low is None else f'{self.low:g}'
        high = 'inf' if self.high is None else f'{self.high:g}'
        return f'[{low}, {high}]'


def setting(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    live: bool = False,
) -> Any:
    """A dataclass field that is a setting. live: may change while the node is active."""
    extra = {'doc': doc, 'low': low, 'high': high, 'choices': tuple(choices), 'live': live}
    return field(default=default, metadata=extra)


def settings_of(config: Any, prefix: str = '') -> Iterator[Setting]:
    """The settings of a dataclass (or an instance of one), in order."""
    for item in dataclasses.fields(config):
        if 'doc' in item.metadata:
            yield Setting(
                name=prefix + item.name, default=cast(Value, item.default), **item.metadata
            )


BACKENDS = ('auto', 'openvino', 'onnxruntime')
PRECISIONS = ('auto', 'f32', 'mixed', 'bf16', 'f16', 'int8')


@dataclass(frozen=True)
class PipelineConfig:
    """Everything that decides what comes out for a frame."""

    estimator: str = setting('blazepose', 'name of the estimator')
    model: str = setting('', 'registered model or path of a model file; empty: the default one')
    models_dir: str = setting('', 'where models are stored; empty: $POSE3D_MODELS, else user data')
    backend: str = setting('auto', 'inference runtime', choices=BACKENDS)
    device: str = setting(
        'CPU',
        'OpenVINO: CPU, GPU, NPU (VPU is an alias), AUTO, HETERO:..., MULTI:...; '
        'ONNX Runtime: cpu, cuda, tensorrt, openvino, rocm, coreml, dml',
    )
    device_fallback: bool = setting(
        False, 'use the CPU, with one warning, if the device is missing'
    )
    precision: str = setting(
        'auto', 'auto: the fastest that is known to do no harm to this model', choices=PRECISIONS
    )
    threads: int = setting(0, 'CPU threads for inference; 0: the runtime decides', low=0, high=256)
    allow_random_weights: bool = setting(False, 'accept model files marked as random (benchmarks)')
    parity: bool = setting(False, 'behave as the published program does, its faults included')

    skeleton: str = setting(
        '', "published joint convention; empty: the estimator's own", choices=('', *SKELETONS)
    )
    max_people: int = setting(5, 'people followed at most', low=1, high=100, live=True)
    min_score: float = setting(0.5, 'detections under this are dropped', low=0, high=1, live=True)

    placement: bool = setting(True, 'place people in front of the camera when it is calibrated')
    focal_length_px: float = setting(
        0.0, 'assumed focal length for cameras without calibration; 0: none is assumed', low=0
    )
    image_is_rectified: bool = setting(False, 'images are undistorted already: use P instead of K')
    reprojection_weight: float = setting(
        0.5,
        'how far placed joints are pulled sideways onto the rays of their pixels',
        low=0,
        high=1,
        live=True,
    )
    body_height_m: float = setting(
        0.0,
        'known body height that scales people; 0: as the model sees them',
        low=0,
        high=3,
        live=True,
    )

    tracking: bool = setting(True, 'give people ids that last')
    track_max_missed_s: float = setting(
        1.5, 'a track ends when its person is unseen for so long', low=0, high=60, live=True
    )
    max_gap_s: float = setting(
        1.0, 'a longer gap between stamps resets all state', low=0.01, live=True
    )
    publish_predicted: bool = setting(
        False, 'also deliver people unseen now, extrapolated, until the track ends', live=True
    )

    smoothing: bool = setting(True, 'one-euro filter on joints and pixels', live=True)
    smoothing_min_cutoff: float = setting(
        0.1, 'one-euro minimum cutoff of root-relative joints, Hz', low=0.001, high=100, live=True
    )
    smoothing_beta: float = setting(
        40.0, 'one-euro speed coefficient of root-relative joints, 1/m', low=0, high=1000, live=True
    )
    smoothing_pixel_min_cutoff: float = setting(
        0.05, 'one-euro minimum cutoff of pixels, Hz', low=0.001, high=100, live=True
    )
    smoothing_pixel_beta: float = setting(
        80.0, 'one-euro speed coefficient of pixels, 1/body size', low=0, high=1000, live=True
    )
    smoothing_root_min_cutoff: float = setting(
        0.5,
        'one-euro minimum cutoff of absolute root positions, Hz',
        low=0.001,
        high=100,
        live=True,
    )
    smoothing_root_beta: float = setting(
        1.0,
        'one-euro speed coefficient of absolute root positions, 1/m',
        low=0,
        high=1000,
        live=True,
    )
    smoothing_derivative_cutoff: float = setting(
        1.0, 'one-euro cutoff of the speed estimate, Hz', low=0.001, high=100, live=True
    )

    bone_quality: bool = setting(
        False, 'state how body-like the bone ratios of each skeleton are, 0..1', live=True
    )

    options: Mapping[str, Value] = field(default_factory=dict)
    """Settings of the estimator, without its prefix."""

    def __post_init__(self) -> None:
        for item in settings_of(self):
            item.check(getattr(self, item.name))

    def replace(self: T, **changes: Any) -> T:
        """Copy with some settings changed, checked again."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]


def from_mapping(kind: type[T], values: Mapping[str, Any], origin: str = '') -> T:
    """Build a config dataclass from flat or nested names; ConfigError on any that is unknown.

    Keys `<estimator>.<name>` (or a mapping under the estimator's name) become `options`; those of
    other estimators are left alone, so that one file can serve several. What is not set has the
    estimator's own default, if it has one.
    """
    from ..estimators import ESTIMATORS, defaults_of, options_of

    known = {item.name: item for item in settings_of(kind)}
    where = f'{origin}: ' if origin else ''
    plain: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    name = str(values.get('estimator', known['estimator'].default))
    for key, value in _leaves(values):
        # An estimator of another package has dots in its own name.
        own = key == name or key.startswith(f'{name}.')
        head, tail = (name, key[len(name) + 1 :]) if own else key.partition('.')[::2]
        if isinstance(value, Mapping):
            options.setdefault(head, {})
        elif tail:
            options.setdefault(head, {})[tail] = value
        elif key in known:
            plain[key] = _checked(known[key], value, where)
        else:
            raise ConfigError(f'{where}unknown setting {key!r}{_hint(key, known)}')
    estimator = str(plain.get('estimator', known['estimator'].default))
    for head in options:
        if head != estimator and head not in ESTIMATORS:
            raise ConfigError(f'{where}unknown setting {head!r}{_hint(head, ESTIMATORS)}')
    for key, value in defaults_of(estimator).items():
        plain.setdefault(key, value)
    chosen = options.get(estimator, {})
    allowed = {item.name: item for item in settings_of(options_of(estimator))} if chosen else {}
    for key, value in chosen.items():
        if key not in allowed:
            raise ConfigError(f'{where}unknown setting {estimator}.{key}{_hint(key, allowed)}')
        chosen[key] = _checked(allowed[key], value, where)
    return kind(**plain, options=chosen)  # type: ignore[call-arg]


def load_yaml(kind: type[T], path: str | Path) -> T:
    """Read settings from a YAML file, plain or in the form of a ROS parameters file."""
    return from_mapping(kind, read_yaml(path), origin=str(path))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Raw settings of a YAML file; in the ROS form all `ros__parameters` sections are merged."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'cannot read settings from {path}: {error}') from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f'{path}: settings must be a mapping, not {type(content).__name__}')
    sections = [v for v in content.values() if isinstance(v, dict) and 'ros__parameters' in v]
    if not sections:
        return cast(dict[str, Any], content)
    merged: dict[str, Any] = {}
    for section in sections:
        merged.update(section['ros__parameters'] or {})
    return merged


def _leaves(values: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted names and values of nested mappings; empty mappings are values."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def _checked(item: Setting, value: Any, where: str) -> Value:
    try:
        return item.check(value)
    except ConfigError as error:
        raise ConfigError(f'{where}{error}') from None


def _hint(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f'; did you mean {close[0]!r}?' if close else ''
