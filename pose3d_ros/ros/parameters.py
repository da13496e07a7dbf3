# SPDX-License-Identifier: Apache-2.0
"""The node's settings as ROS parameters: declared, checked, and put together to a NodeConfig."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..errors import ConfigError
from ..settings.declare import Setting, Value, settings_of
from ..settings.estimators import ESTIMATORS, defaults_of, options_of
from ..settings.node import NodeConfig, fixed_changes
from ..settings.parsing import ROS_PARAMETERS
from .messages import check_messages

# Read once, when the node is made.
STRUCTURAL = ('autostart', 'diagnostics_period_s')
HINT = 'cannot change while the node is configured: deactivate, clean up and configure again'

_LOWEST_INT, _HIGHEST_INT = -(2**63), 2**63 - 1


class Parameters:
    """Owns the parameters of a node that was made with
    `automatically_declare_parameters_from_overrides=True`, so that none of a file is overlooked.

    What a file or the command line gives and is wrong does not end the node: it is in `refused`,
    by name, until the parameter is set to something that works.

    changed: called with the configuration after parameters were set from outside.
    """

    def __init__(self, node: Node, changed: Callable[[NodeConfig], None]) -> None:
        self._node = node
        self._changed = changed
        self._settings: dict[str, Setting] = {}
        self.refused: dict[str, str] = {}
        self.configured = False
        overrides = _take_overrides(node)
        self._overrides = dict(overrides)
        self._defaults: Mapping[str, Value] = {}
        with suppress(ConfigError, ImportError):
            self._defaults = defaults_of(str(overrides.get('estimator', NodeConfig.estimator)))
        for item in settings_of(NodeConfig):
            self._declare(item)
        for name in (*ESTIMATORS, str(overrides.get('estimator', ''))):
            # What is wrong with it is said when the node is configured.
            with suppress(ConfigError, ImportError):
                self._declare_options(name)
        self._report_unknown()
        if hasattr(node, 'add_pre_set_parameters_callback'):
            node.add_pre_set_parameters_callback(self._convert)
        node.add_on_set_parameters_callback(self._validate)
        self._applies_itself = not hasattr(node, 'add_post_set_parameters_callback')
        if not self._applies_itself:
            node.add_post_set_parameters_callback(self._apply)

    def config(self) -> NodeConfig:
        """All parameters as they are now; ConfigError if one of them, or all together, is wrong."""
        if self.refused:
            raise ConfigError('; '.join(self.refused.values()))
        estimator = self._node.get_parameter('estimator').value
        # An estimator of another package may have been named since.
        self._declare_options(estimator)
        return self._config({})

    def _config(self, changes: dict[str, Value]) -> NodeConfig:
        values = {
            name: changes.get(name, self._node.get_parameter(name).value) for name in self._settings
        }
        prefix = f'{values["estimator"]}.'
        options = {n[len(prefix) :]: v for n, v in values.items() if n.startswith(prefix)}
        plain = {n: v for n, v in values.items() if '.' not in n}
        config = NodeConfig(**plain, options=options)
        check_messages(config)
        return config

    def _declare_options(self, estimator: str) -> None:
        """Raises ConfigError or ImportError if the estimator cannot be loaded."""
        for item in settings_of(options_of(estimator), prefix=f'{estimator}.'):
            if item.name not in self._settings:
                self._declare(item)

    def _declare(self, item: Setting) -> None:
        value = self._defaults.get(item.name, item.default)
        if item.name in self._overrides:
            try:
                value = item.check(plain(self._overrides[item.name], item))
            except ConfigError as error:
                self.refused[item.name] = str(error)
        self._settings[item.name] = item
        self._node.declare_parameter(item.name, value, descriptor_of(item), ignore_override=True)

    def _report_unknown(self) -> None:
        for name in self._overrides:
            if name in self._settings or name.partition('.')[0] in ROS_PARAMETERS:
                continue
            close = difflib.get_close_matches(name, list(self._settings), n=1)
            hint = f'; did you mean {close[0]}?' if close else ''
            self._node.get_logger().warning(f'unknown parameter {name} is ignored{hint}')

    def _convert(self, parameters: Sequence[Parameter]) -> list[Parameter]:
        """Whole numbers are accepted where a number with decimals is wanted."""
        return [
            Parameter(p.name, Parameter.Type.DOUBLE, float(p.value))
            if p.type_ == Parameter.Type.INTEGER and self._is_float(p.name)
            else p
            for p in parameters
        ]

    def _is_float(self, name: str) -> bool:
        return name in self._settings and self._settings[name].type is float

    def _validate(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        """Whether a change is allowed; changes nothing."""
        try:
            changes = {
                p.name: self._settings[p.name].check(p.value)
                for p in parameters
                if p.name in self._settings
            }
            if changes and self.configured:
                old, new = self._config({}), self._config(changes)
                fixed = fixed_changes(old, new)
                if fixed:
                    raise ConfigError(f'{", ".join(fixed)} {HINT}')
            elif changes:
                self._config(changes)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._applies_itself and changes:
            # Without a callback after the fact (Humble) this is the last that is heard of it.
            self._accept(changes)
        return SetParametersResult(successful=True)

    def _apply(self, parameters: Sequence[Parameter]) -> None:
        changes = {p.name: p.value for p in parameters if p.name in self._settings}
        if changes:
            self._accept(changes)

    def _accept(self, changes: dict[str, Value]) -> None:
        for name in changes:
            self.refused.pop(name, None)
        self._changed(self._config(changes))


def _take_overrides(node: Node) -> dict[str, Any]:
    """Values from files and the command line; their automatic declarations are taken back."""
    overrides = {}
    for name, parameter in node.get_parameters_by_prefix('').items():
        overrides[name] = parameter.value
        # These two belong to rclpy, which has declared and read them.
        if name not in ('use_sim_time', 'start_type_description_service'):
            node.undeclare_parameter(name)
    return overrides


def plain(value: Any, item: Setting) -> Any:
    """Lists of names, as `cameras: [left, right]`, in the form of the setting."""
    if item.type is str and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return ','.join(value)
    return value


def descriptor_of(item: Setting) -> ParameterDescriptor:
    """What tools show of a setting, and the range that rclpy itself enforces."""
    notes = []
    if item.choices:
        notes.append('one of ' + ', '.join(repr(choice) for choice in item.choices))
    if item.name in STRUCTURAL:
        notes.append('read when the node starts')
    elif not item.live:
        notes.append(HINT)
    descriptor = ParameterDescriptor(
        name=item.name,
        description=item.doc,
        additional_constraints='; '.join(notes),
        read_only=item.name in STRUCTURAL,
    )
    if item.low is not None or item.high is not None:
        if item.type is int:
            low = _LOWEST_INT if item.low is None else int(item.low)
            high = _HIGHEST_INT if item.high is None else int(item.high)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(
                    from_value=-sys.float_info.max if item.low is None else float(item.low),
                    to_value=sys.float_info.max if item.high is None else float(item.high),
                    step=0.0,
                )
            ]
    return descriptor
