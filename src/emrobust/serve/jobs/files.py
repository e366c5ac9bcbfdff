"""A job's folder, which its owner alone can read.

JOBS/ID/table.csv        what was uploaded; erased when the job ends
        parts/N.jsonl    predictions from row N on; a part is whole or absent
        rejects.csv      refused rows, with the reason and never their text
        result.csv       all parts in order, when the job is done
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emrobust import runs
from emrobust.errors import ColumnsError, InputError, SourceError, StorageError

_UPLOAD = "table"
_FULL = "Tell who runs the service, and queue the table again when there is room."


@dataclass(frozen=True)
class Line:
    """What a model says of one row.

    Attributes:
        record_id: as the table has it.
        id: of the prediction.
        probabilities: label → calibrated probability, the likeliest first.
        chosen: the labels decided for, the likeliest first.
        uncertain: the prediction set.
        reasons: why the model is not sure.
    """

    record_id: str
    id: str
    probabilities: dict[str, float]
    chosen: Sequence[str]
    uncertain: Sequence[str]
    reasons: Sequence[str]


@dataclass(frozen=True)
class Files:
    """The files of one job.

    Attributes:
        folder: of this job alone.
    """

    folder: Path

    @property
    def result(self) -> Path:
        """The predictions, once all are there."""
        return self.folder / "result.csv"

    @property
    def rejects(self) -> Path:
        """The rows that were refused."""
        return self.folder / "rejects.csv"

    @property
    def _parts(self) -> Path:
        return self.folder / "parts"

    def upload(self, suffix: str) -> Path:
        """The table; it keeps its ending, and not its name, which may be a patient's."""
        return self.folder / f"{_UPLOAD}{suffix}"

    def make(self) -> None:
        """Make the folder.

        Raises:
            StorageError: the disk is full, or the folder may not be made.
        """
        with runs.storage_errors(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700)

    def write_part(self, first: int, lines: Sequence[Line]) -> None:
        """Keep the predictions from row ``first`` on.

        Raises:
            StorageError: the disk is full.
        """
        text = "".join(json.dumps(vars(line), ensure_ascii=False) + "\n" for line in lines)
        runs.write_text(self._part(first), text, private=True)

    def read_part(self, first: int) -> list[Line]:
        """The predictions from row ``first`` on; empty where there is no such part."""
        try:
            text = self._part(first).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [Line(**json.loads(line)) for line in text.splitlines()]

    def parts(self) -> Iterator[list[Line]]:
        """All parts in order."""
        for path in sorted(self._parts.glob("*.jsonl")):
            yield self.read_part(int(path.stem))

    def tidy(self) -> None:
        """Erase all but the result and the list of refused rows."""
        shutil.rmtree(self._parts, ignore_errors=True)
        for path in self.folder.glob(f"{_UPLOAD}.*"):
            path.unlink(missing_ok=True)

    def erase(self) -> None:
        """Erase everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def unnamed(self) -> Iterator[None]:
        """Take the folder of all jobs out of what is said: it is nobody's business.

        Raises:
            ColumnsError: the table lacks columns.
            SourceError: in place of any other error of the table.
            StorageError: the disk is full.
        """
        try:
            yield
        except ColumnsError as error:
            message = self._shorten(error.message)
            raise ColumnsError(message, error.hint, error.columns) from None
        except InputError as error:
            raise SourceError(self._shorten(error.message), error.hint) from None
        except StorageError as error:
            raise StorageError(self._shorten(error.message), _FULL) from None

    def _shorten(self, message: str) -> str:
        return message.replace(f"{self.folder}/", "").replace(f"{self.folder.parent}/", "")

    def _part(self, first: int) -> Path:
        return self._parts / f"{first:012}.jsonl"
