# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from pose3d_ros import __version__, errors
from pose3d_ros.cli import main as cli
from pose3d_ros.cli import options


def run(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'pose3d_ros.cli.main', *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def command(monkeypatch):
    """Makes `pose3d evaluate` do what the test wants."""

    def set_to(function):
        monkeypatch.setattr('pose3d_ros.cli.evaluate.run', function)

    return set_to


def raising(error):
    def fail(args):
        raise error

    return fail


def test_version_and_help(capsys):
    for flag, expected in (('--version', __version__), ('--help', 'exit codes')):
        with pytest.raises(SystemExit) as end:
            cli.main([flag])
        assert end.value.code == 0
        assert expected in capsys.readouterr().out
    assert cli.main([]) == 2
    assert 'commands:' in capsys.readouterr().out


def test_help_names_every_command():
    text = cli.build_parser().format_help()
    for name in cli.COMMANDS:
        assert f'\n    {name}' in text


@pytest.mark.parametrize(
    ('error', 'code'),
    [
        (errors.ConfigError('no'), 2),
        (errors.InputError('no'), 3),
        (errors.ModelError('no'), 4),
        (errors.BackendError('no'), 5),
        (errors.OutputError('no'), 6),
        (errors.Pose3DError('no'), 1),
    ],
)
def test_errors_are_one_line_and_a_code(command, capsys, error, code):
    command(raising(error))
    assert cli.main(['evaluate']) == code
    assert capsys.readouterr().err == 'pose3d: error: no\n'


def test_verbose_shows_the_trace(command, capsys):
    command(raising(errors.InputError('no')))
    assert cli.main(['evaluate', '--verbose']) == 3
    assert 'Traceback' in capsys.readouterr().err
    assert cli.main(['--verbose', 'evaluate']) == 3
    assert 'Traceback' in capsys.readouterr().err


def test_unexpected_failures_say_so(command, capsys):
    command(raising(ZeroDivisionError('division by zero')))
    assert cli.main(['evaluate']) == 1
    text = capsys.readouterr().err
    assert 'ZeroDivisionError: division by zero' in text
    assert '--verbose' in text


def test_interrupt(command, capsys):
    command(raising(KeyboardInterrupt()))
    assert cli.main(['evaluate']) == 130
    assert capsys.readouterr().err == 'pose3d: interrupted\n'


def test_missing_package_breaks_its_own_command_only(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'pose3d_ros.cli.evaluate', None)

    def missing(name, package):
        raise ModuleNotFoundError("No module named 'nothing'", name='nothing')

    monkeypatch.setattr(cli, 'import_module', missing)
    assert cli.main(['evaluate']) == 2
    assert 'evaluate needs the Python package nothing' in capsys.readouterr().err
    assert 'evaluate' in cli.build_parser().format_help()


@pytest.mark.slow
def test_wrong_usage_exits_with_2():
    result = run('evaluate', '--no-such-option')
    assert result.returncode == 2
    assert '--no-such-option' in result.stderr
    assert run('dance').returncode == 2


def test_reader_that_goes_away():
    process = subprocess.Popen(
        [sys.executable, '-m', 'pose3d_ros.cli.main', '--help'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait() in (cli.BROKEN_PIPE, 0)
    assert b'Traceback' not in stderr


def parse(*arguments):
    return cli.build_parser('evaluate').parse_args(['evaluate', *arguments])


def test_every_setting_is_an_option():
    config = options.config_from(
        parse('--max-people', '3', '--no-smoothing', '--precision', 'f32', '--min-score', '0.25')
    )
    assert config.max_people == 3
    assert config.smoothing is False
    assert (config.precision, config.min_score) == ('f32', 0.25)
    assert config.tracking is True


def test_order_of_file_set_and_option(tmp_path):
    path = tmp_path / 'a.yaml'
    path.write_text(
        '/**:\n  ros__parameters:\n    max_people: 2\n    threads: 2\n    min_score: 0.1\n'
    )
    config = options.config_from(
        parse(
            '--params-file', str(path), '--set', 'max_people=3', '--set', 'threads=3', '--threads=4'
        )
    )
    assert (config.max_people, config.threads, config.min_score) == (3, 4, 0.1)


def test_settings_of_a_node_are_left_alone(tmp_path):
    path = tmp_path / 'a.yaml'
    path.write_text('publish_tf: true\nmax_people: 2\nuse_sim_time: true\n')
    assert options.config_from(parse('--params-file', str(path))).max_people == 2
    path.write_text('publish_ft: true\n')
    with pytest.raises(errors.ConfigError, match=r"a\.yaml.*publish_ft.*did you mean 'publish_tf'"):
        options.config_from(parse('--params-file', str(path)))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--max-people', '0'], r'max_people must lie in \[1, 100\], not 0'),
        (['--precision', 'f31'], 'precision must be one of auto, f32'),
        (['--set', 'threads'], 'write NAME=VALUE'),
        (['--set', 'thread=3'], "unknown setting 'thread'; did you mean 'threads'"),
        (['--estimator', 'blazpose', '--set', 'blazpose.x=1'], 'blazpose'),
        (['--params-file', '/no/such/file'], '/no/such/file'),
    ],
)
def test_wrong_settings(arguments, message):
    with pytest.raises(errors.ConfigError, match=message):
        options.config_from(parse(*arguments))


def test_table_aligns_numbers():
    assert options.table([['a', '1.0'], ['bb', '12.0']], ['', 'ms']).splitlines() == [
        '      ms',
        '--  ----',
        'a    1.0',
        'bb  12.0',
    ]


def test_settings_of_estimators_are_no_options(capsys):
    with pytest.raises(SystemExit):
        cli.main(['run', 'a.jpg', '--openpose3d.input-height', '512'])
    assert 'write --set openpose3d.input_height=VALUE' in capsys.readouterr().err


def test_options_of_another_estimator_are_named(caplog):
    options.config_from(parse('--set', 'lifter.keypoints=topic', '--set', 'threads=3'))
    assert caplog.messages == ['--set lifter.keypoints has no effect: the estimator is blazepose']
