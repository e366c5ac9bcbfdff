"""Folders that are either whole or absent: atomic writes, manifests, stages that resume.

Every file is written beside its place, flushed to disk and renamed, so a reader (or a
process started after ``kill -9``) sees the old file or the new one, never a part.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from emrobust.errors import RunError, StorageError

MANIFEST = "manifest.json"
SUMMARY = "summary.json"
PARTIAL = ".partial"


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into a `StorageError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                f"the disk is full, or a limit is reached: {path} could not be written",
                "Free some space and start the same command again; it goes on where it was.",
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise StorageError(
                f"{path} cannot be written ({error.strerror})",
                "Choose another folder with --out, or ask for the right to write there.",
            ) from None
        raise


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # what a file system says that takes no folders, such as /proc
        raise OSError(errno.EPERM, "no folder can be made there") from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_file(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a partial path; on success it becomes ``path``, on any error it is removed.

    Args:
        path: of the file.
        private: it may hold texts of records, so nobody but its owner may ever read it.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    with storage_errors(path):
        _make_folder(path.parent)
        try:
            if private:
                partial.touch(mode=0o600)
                partial.chmod(0o600)
            yield partial
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty partial folder; on success it takes the place of ``path``.

    Every file in it is flushed before the rename. A folder already at ``path`` is
    set aside first and removed last.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    aside = path.with_name(f".{path.name}.old")
    with storage_errors(path):
        _make_folder(path.parent)
        shutil.rmtree(partial, ignore_errors=True)
        _make_folder(partial)
        try:
            yield partial
            for file in sorted(partial.rglob("*")):
                _sync(file)
            shutil.rmtree(aside, ignore_errors=True)
            if path.exists():
                path.replace(aside)
            partial.replace(path)
            _sync(path.parent)
            shutil.rmtree(aside, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text file, all or nothing, UTF-8; ``private`` as `atomic_file` takes it."""
    with atomic_file(path, private=private) as partial:
        partial.write_bytes(text.encode())


def write_json(path: Path, value: Any, *, private: bool = False) -> None:
    """Write JSON for machines: sorted keys, no NaN."""
    write_text(
        path,
        json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n",
        private=private,
    )


def read_json(path: Path) -> Any:
    """Read a JSON file that this package wrote.

    Raises:
        RunError: it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is missing", "Is this the folder that the command wrote?") from None
    except (ValueError, UnicodeDecodeError):
        raise RunError(f"{path} is not readable as JSON", "Run the command again.") from None


def need_folder(folder: Path) -> None:
    """Refuse a folder that is not there, suggesting one beside it with a name like its own.

    Raises:
        RunError: it does not exist, or is a file.
    """
    if folder.is_dir():
        return
    if folder.exists():
        raise RunError(f"{folder} is a file, not a folder", "Give the folder that it lies in.")
    parent = folder.parent
    beside = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    near = difflib.get_close_matches(folder.name, beside, n=1)
    hint = f"Did you mean `{folder.with_name(near[0])}`?" if near else "Is the path right?"
    raise RunError(f"the folder {folder} does not exist", hint)


def checksum(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files, in hex."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def environment() -> dict[str, str]:
    """Versions that a result depends on; nothing that names the machine or its user."""
    packages = ("emrobust", "numpy", "pyarrow", "scikit-learn", "torch", "transformers")
    versions = {"python": platform.python_version(), "processor": platform.machine()}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def write_manifest(folder: Path, facts: Mapping[str, Any], leave_out: str = "") -> None:
    """Write ``manifest.json``: the facts, the versions and a checksum for every file.

    ``leave_out`` names a folder in it that may go away later.
    """
    files = {
        str(file.relative_to(folder)): checksum(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and file.relative_to(folder).parts[0] not in (MANIFEST, leave_out)
        and not file.name.endswith(PARTIAL)
    }
    write_json(
        folder / MANIFEST, {"facts": dict(facts), "files": files, "environment": environment()}
    )


def verify_manifest(folder: Path) -> dict[str, Any]:
    """Check every file of a folder against its manifest; the facts.

    Raises:
        RunError: names the file that is missing or was changed.
    """
    manifest: dict[str, Any] = read_json(folder / MANIFEST)
    for name, expected in manifest["files"].items():
        file = folder / name
        if not file.is_file():
            raise RunError(f"{folder} is incomplete: {name} is missing", "Run the command again.")
        if checksum(file) != expected:
            raise RunError(
                f"{file} was changed after it was written (its checksum differs)",
                "Run the command again, or restore the file.",
            )
    facts: dict[str, Any] = manifest["facts"]
    return facts


@dataclass(frozen=True)
class Summary:
    """What a stage did, for the user and the report.

    Attributes:
        rows_in: rows read.
        rows_out: rows written.
        rejected: reason → number of rows that were refused, each listed in rejects.csv.
        notes: whatever else the stage found, as plain JSON values.
    """

    rows_in: int
    rows_out: int
    rejected: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


Stage = Callable[[Any, Path, Path], Summary]


def run_stage(stage: Stage, settings: Any, source: Path, target: Path) -> tuple[Summary, bool]:
    """Run one stage into ``target``, or keep what is there when nothing has changed.

    ``stage(settings, source, target)`` writes its files into the (partial, empty) folder
    ``target``. It is skipped when the settings, the source's checksum and the stage's own
    output are those of the last run. A source that is no file, such as a database, has no
    checksum and may have changed, so it is always read again.

    Returns:
        the summary, and whether the stage really ran.
    """
    # Files that the settings name (a class table, say) count by what is in them.
    named = [value for _, value in settings if isinstance(value, Path) and value.is_file()]
    facts = {
        "stage": stage.__name__,
        "settings": settings.model_dump(mode="json"),
        "source": checksum(source) if source.exists() else "",
        "named": [checksum(path) for path in named if path != source],
        "version": metadata.version("emrobust"),
    }
    if source.exists() and (target / MANIFEST).is_file():
        with contextlib.suppress(RunError, KeyError):
            if verify_manifest(target) == facts:
                return Summary(**read_json(target / SUMMARY)), False
    with atomic_folder(target) as partial:
        summary = stage(settings, source, partial)
        write_json(partial / SUMMARY, asdict(summary))
        write_manifest(partial, facts)
    return summary, True
