# SPDX-License-Identifier: Apache-2.0
"""Interchangeable parts by name: one table and one notation for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..errors import ConfigError, unknown


@dataclass(frozen=True)
class Plugins:
    """Parts of one sort, each a class or an object of a module.

    sort: for messages, as 'detector'. table: name of the setting -> `module:attribute`. attribute:
    what a module stands for that is named alone. Instead of a name of the table, settings take
    `module:attribute`, or a dotted `module`, of another package.
    """

    sort: str
    table: MutableMapping[str, str]
    attribute: str

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __contains__(self, name: object) -> bool:
        return name in self.table

    def names(self, name: str) -> bool:
        """Whether a setting's value names a part: one of the table, or of another package."""
        return name in self.table or (bool(re.search(r'[.:]', name)) and name[0] not in '.:')

    def load(self, name: str) -> Any:
        """The part of that name; ConfigError if there is none."""
        if not self.names(name):
            raise ConfigError(unknown(self.sort, name, self.table))
        module, _, attribute = self.table.get(name, name).partition(':')
        try:
            loaded = import_module(module)
        except ModuleNotFoundError as error:
            # A package that the module itself lacks is another matter.
            if error.name and f'{module}.'.startswith(f'{error.name}.'):
                raise ConfigError(f'{self.sort} {name!r}: there is no module {module}') from error
            raise
        attribute = attribute or self.attribute
        if not hasattr(loaded, attribute):
            raise ConfigError(f'{self.sort} {name!r}: module {module} has no {attribute}')
        return getattr(loaded, attribute)
