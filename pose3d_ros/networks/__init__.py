# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of network families: pre-processing, ports, decoding. Arrays in, arrays out."""
