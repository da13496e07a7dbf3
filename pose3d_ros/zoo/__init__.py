# SPDX-License-Identifier: Apache-2.0
"""The model zoo: the registered models, where their files come from and where they are stored.

>>> model = find_model('blazepose', 'detector', 'landmarks')
>>> model.files['landmarks'], model.precision['landmarks']
"""

from .fetch import fetch
from .registry import Checkpoint, Entry, FileEntry, Npm, Wheel, load_registry
from .store import Model, find_model, how_to_get, models_folder, problems, random_name

__all__ = [
    'Checkpoint',
    'Entry',
    'FileEntry',
    'Model',
    'Npm',
    'Wheel',
    'fetch',
    'find_model',
    'how_to_get',
    'load_registry',
    'models_folder',
    'problems',
    'random_name',
]
