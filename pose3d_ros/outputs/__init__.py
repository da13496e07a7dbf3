# SPDX-License-Identifier: Apache-2.0
"""Results as files: JSON lines, CSV, annotated video, pictures."""
