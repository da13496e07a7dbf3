# SPDX-License-Identifier: Apache-2.0
"""Learning models from data; nothing here is needed to run them."""
