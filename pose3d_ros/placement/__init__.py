# SPDX-License-Identifier: Apache-2.0
"""Where people are: from root-relative joints and pixels to metres in front of a camera."""
