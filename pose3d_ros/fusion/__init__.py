# SPDX-License-Identifier: Apache-2.0
"""People of several cameras become one set of people in one frame."""
