# SPDX-License-Identifier: Apache-2.0
"""Lifting from the Deep (Tome, Russell, Agapito, CVPR 2017, arXiv 1701.00295)."""
