# SPDX-License-Identifier: Apache-2.0
"""People over time: identities, smoothing, appearance, plausibility."""
