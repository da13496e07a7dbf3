# SPDX-License-Identifier: Apache-2.0
"""Published programs: their faults and protocols, and comparisons with their recorded results."""
