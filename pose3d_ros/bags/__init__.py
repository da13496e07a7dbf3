# SPDX-License-Identifier: Apache-2.0
"""Recorded topics in, results out."""
