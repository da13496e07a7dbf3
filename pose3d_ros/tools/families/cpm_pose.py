# SPDX-License-Identifier: Apache-2.0
"""Joints of one person: see `cpm`."""

from .cpm import POSE as FAMILY

__all__ = ['FAMILY']
