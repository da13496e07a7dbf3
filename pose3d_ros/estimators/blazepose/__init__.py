# SPDX-License-Identifier: Apache-2.0
"""BlazePose GHUM (arXiv 2006.10204) for several people."""
