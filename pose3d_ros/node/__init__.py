# SPDX-License-Identifier: Apache-2.0
"""What every shell shares: the work of a node between its subscriptions and its publishers."""
