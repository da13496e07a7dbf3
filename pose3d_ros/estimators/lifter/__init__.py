# SPDX-License-Identifier: Apache-2.0
"""What 2D-to-3D lifters share: joint conversions, codecs, windows, streaming convolutions."""
