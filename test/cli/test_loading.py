# SPDX-License-Identifier: Apache-2.0
import hashlib

import pytest

from pose3d_ros.cli import loading
from pose3d_ros.errors import ModelError
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.zoo import Entry, FileEntry


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A model of the blobs that can be fetched from a local address."""
    content = b'weights'
    (tmp_path / 'source.onnx').write_bytes(content)
    item = FileEntry(
        file='model.onnx',
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        url=(tmp_path / 'source.onnx').as_uri(),
    )
    entry = Entry(
        name='blobs',
        estimator='support.blobs',
        title='',
        skeleton='coco_17',
        licence='CC0-1.0',
        source='here',
        files={'model': item},
    )
    monkeypatch.setattr(loading, 'load_registry', lambda: {'blobs': entry})
    return tmp_path


def config(folder, **settings):
    return PipelineConfig(estimator='support.blobs', models_dir=str(folder / 'models'), **settings)


def test_missing_model_is_fetched_once_and_said_so(registry, capsys):
    loading.make_pipeline(config(registry, model='blobs'))
    assert (registry / 'models' / 'blobs' / 'model.onnx').read_bytes() == b'weights'
    assert 'fetching the model blobs (0 MB, ' in capsys.readouterr().err
    loading.make_pipeline(config(registry, model='blobs'))
    assert 'fetching' not in capsys.readouterr().err


def test_offline_and_own_files_fetch_nothing(registry):
    loading.make_pipeline(config(registry, model='blobs'), offline=True)
    loading.make_pipeline(config(registry, model='/some/model.onnx'))
    assert not (registry / 'models').exists()


def test_failed_fetch_is_a_model_error(registry):
    (registry / 'source.onnx').write_bytes(b'other')
    with pytest.raises(ModelError, match='blobs'):
        loading.make_pipeline(config(registry, model='blobs'))
