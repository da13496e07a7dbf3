# SPDX-License-Identifier: Apache-2.0
"""From an official checkpoint to files that the runtimes read: load strictly, export, verify."""
