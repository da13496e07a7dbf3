# SPDX-License-Identifier: Apache-2.0
"""Topics on the wire over Cyclone DDS."""
