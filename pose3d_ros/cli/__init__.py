# SPDX-License-Identifier: Apache-2.0
"""The `pose3d` command: one module per subcommand."""
