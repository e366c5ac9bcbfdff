"""Which columns of a table a package reads."""

from __future__ import annotations

from pathlib import Path

from emrobust import runs
from emrobust.config import Source
from emrobust.package import layout
from emrobust.package.model import Package


def source_of(package: Package, path: Path) -> Source:
    """A table like the one that the package's project read.

    ``ingest`` is imported where this is called: it loads slowly, and who has no table needs none.
    """
    from emrobust.ingest import source_of as beside  # noqa: PLC0415 - see above

    saved = runs.read_json(package.folder / layout.SOURCE)
    # Where the project's table lay is not known here, but of which kind it was.
    known = Source(path=Path(f"absent{saved['suffix']}"), **saved["columns_of"])
    return beside(known, path)
