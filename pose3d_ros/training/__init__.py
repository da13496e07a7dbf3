# SPDX-License-Identifier: Apache-2.0
"""Training of the package's own networks; needs PyTorch (`pip install "pose3d_ros[train]"`)."""
