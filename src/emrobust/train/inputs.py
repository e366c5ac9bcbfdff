"""What a training reads beside its records: the files that a project names, by their checksums.

A run notes them, so that it is not taken for one of files that were changed since.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from emrobust import runs
from emrobust.config import Project
from emrobust.encoder import checkpoint, embedded
from emrobust.errors import ModelError
from emrobust.lexicon.table import TABLES
from emrobust.normalize import step

# Key of the project file → name of a file → its SHA-256.
Inputs = dict[str, dict[str, str]]


def find(project: Project) -> Inputs:
    """Checksums of what a training of this project reads; what is not there is left out.

    The embedded encoder is no input: it changes with the package alone.
    """
    found = {
        key: {path.name: _checksum(path) for path in paths} for key, paths in _read_by(project)
    }
    return {key: files for key, files in found.items() if files}


def changed(then: Mapping[str, Mapping[str, str]] | None, now: Inputs) -> list[str]:
    """The files that are not what they were, each with its key.

    Args:
        then: what a run noted; None of one that is older than these notes, of which nothing can
            be said.
        now: what lies there. A key that is absent has nothing that a training could read, so
            a run outlives the checkpoint that it began from.
    """
    if then is None:
        return []
    return [
        f"{name} (`{key}`)"
        for key, files in now.items()
        for name in sorted({*files, *then.get(key, {})})
        if then.get(key, {}).get(name) != files.get(name)
    ]


def _read_by(project: Project) -> Iterator[tuple[str, list[Path]]]:
    yield "model.checkpoint", _weights(project.model.settings().get("checkpoint"))
    normalize = project.normalize
    if normalize.typos:
        yield "normalize.typos_checkpoint", _weights(normalize.typos_checkpoint)
    if normalize.tables is not None:
        names = sorted({*(path.name for path in step.FOLDER.iterdir()), *TABLES})
        yield "normalize.tables", _there(normalize.tables / name for name in names)
    if project.augment.probability:
        yield from _read_by_augmentation(project)


def _read_by_augmentation(project: Project) -> Iterator[tuple[str, list[Path]]]:
    given = project.augment
    if given.masked_lm:
        yield "augment.checkpoint", _weights(given.checkpoint)
    if given.back_translation:
        yield "augment.there", _weights(given.there)
        yield "augment.back", _weights(given.back)
        yield "augment.translations", _there([given.translations] if given.translations else [])
    if given.rules:
        for key, names in (("vectors", [""]), ("lexicon", TABLES)):
            paths = [of.settings().get(key) for of in given.perturbations]
            files = [Path(path) / name for path in paths if isinstance(path, str) for name in names]
            yield f"augment.perturbations.{key}", _there(files)


def _weights(name: object) -> list[Path]:
    """The files of a checkpoint; none of the embedded one, or of one that cannot be had."""
    if not isinstance(name, str) or name.startswith(embedded.PUBLISHER):
        return []
    folder = _locate(name)
    return [] if folder is None else checkpoint.files(folder)


# A study asks for each of its cells, and a hub that does not answer takes seconds.
@lru_cache(maxsize=256)
def _locate(name: str) -> Path | None:
    with contextlib.suppress(ModelError):  # training says what is wrong with it
        return checkpoint.locate(name)
    return None


def _there(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]


def _checksum(path: Path) -> str:
    now = path.stat()
    return _checksum_of(path, now.st_mtime_ns, now.st_size)


# Likewise, and weights are large.
@lru_cache(maxsize=256)
def _checksum_of(path: Path, _changed: int, _size: int) -> str:
    return runs.checksum(path)
