# SPDX-License-Identifier: Apache-2.0
"""Where people are: see `cpm`."""

from .cpm import PERSON as FAMILY

__all__ = ['FAMILY']
