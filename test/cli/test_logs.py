# SPDX-License-Identifier: Apache-2.0
import logging

import pytest

from pose3d_ros.cli.logs import log_to_stderr


@pytest.mark.parametrize('verbose', [False, True])
def test_lines_on_stderr(capsys, verbose):
    log_to_stderr(verbose)
    logging.getLogger('pose3d').info('ready')
    logging.getLogger('pose3d_ros.node.runner').debug('detail')
    found = capsys.readouterr()
    assert found.out == ''
    assert '[INFO]' in found.err
    assert found.err.splitlines()[0].endswith('ready')
    assert ('detail' in found.err) == verbose
