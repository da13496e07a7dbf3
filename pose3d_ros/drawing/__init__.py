# SPDX-License-Identifier: Apache-2.0
"""Pictures of skeletons: overlay, 3D view."""
