# SPDX-License-Identifier: Apache-2.0
"""Topics on the wire over Zenoh, as rmw_zenoh has them (its docs/design.md)."""
