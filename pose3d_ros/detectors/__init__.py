# SPDX-License-Identifier: Apache-2.0
"""What gives boxes or 2D keypoints to top-down estimators and lifters."""
