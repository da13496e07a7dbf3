# SPDX-License-Identifier: Apache-2.0
"""Everybody in view in one pass."""
