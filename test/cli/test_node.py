# SPDX-License-Identifier: Apache-2.0
"""What `pose3d node` refuses; test/standalone/test_node.py has it running."""

from __future__ import annotations

import pytest
import yaml

pytest.importorskip('cyclonedds')

from pose3d_ros.cli.main import main


@pytest.mark.parametrize(
    ('parameters', 'complaint'),
    [
        ({'max_people': 'many'}, "params.yaml: max_people must be of type int, not 'many'"),
        ({'max_people': 0}, 'max_people must lie in [1, 100], not 0'),
        ({'max_peeple': 3}, "unknown setting 'max_peeple'; did you mean 'max_people'"),
        ({'use_sim_time': 'yes'}, 'use_sim_time must be true or false'),
        ({'qos_overrides': {'/x': {'publisher': {'depth': 0}}}}, 'depth must be a whole number'),
    ],
)
def test_wrong_settings_end_the_start(tmp_path, capsys, parameters, complaint):
    path = tmp_path / 'params.yaml'
    path.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
    arguments = ['node', '--estimator', 'support.blobs', '--params-file', str(path)]
    assert main(arguments) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'complaint'),
    [
        (['-r', 'image'], "remapping 'image': write FROM:=TO"),
        (['--name', '2nd'], "node name '2nd' is not valid"),
        (['--domain', '233'], 'the domain must lie in [0, 232], not 233'),
        (['--cameras', 'a,a'], 'a name stands twice'),
        (['--params-file', 'nowhere.yaml'], 'nowhere.yaml'),
        (['--image-transport', 'theora'], 'image_transport must be one of raw, compressed'),
    ],
)
def test_wrong_options(capsys, options, complaint):
    assert main(['node', '--estimator', 'support.blobs', *options]) == 2
    assert complaint in capsys.readouterr().err


def test_help_tells_of_topics_and_every_setting(capsys):
    with pytest.raises(SystemExit):
        main(['node', '--help'])
    text = capsys.readouterr().out
    for expected in (
        '~/skeletons',
        '-r image:=',
        '--publish-tf',
        '--min-score',
        'SIGHUP',
        '--peers',
    ):
        assert expected in text
    assert '--autostart' not in text
