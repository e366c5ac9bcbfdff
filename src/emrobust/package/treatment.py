"""How a package's texts are de-identified before it reads them: as in training, but in memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from emrobust.config import Deid
from emrobust.package import layout

if TYPE_CHECKING:
    from emrobust.deid import Deidentifier


def open_treatment(settings: Deid, language: str) -> Deidentifier:
    """What texts pass through before a package with these settings reads them.

    Nothing of the treated texts is to be written: their key is no secret.

    Args:
        settings: the section ``[deid]`` of the package's project.
        language: of the package.
    """
    # Late: the detectors take a second to load, and few packages need them.
    from emrobust.deid import Deidentifier  # noqa: PLC0415

    with _stand_in_key() as key:
        # Record numbers must lead back to the records.
        own = {"key_file": key, "pseudonyms": False}
        return Deidentifier(quiet(settings.model_copy(update=own)), language=language)


def quiet(settings: Deid) -> Deid:
    """No text is written here, so nothing needs to be refused or audited."""
    return settings.model_copy(update={"accept_identifiers": True, "audit_rows": 0})


@contextlib.contextmanager
def _stand_in_key() -> Iterator[Path]:
    """A key that is no secret, for surrogates and shifts like those that the model learned from.

    The hospital's key stays at home. What this one makes is read by the model alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "key"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(hashlib.sha256(layout.WHAT.encode()).hexdigest())
        yield path
