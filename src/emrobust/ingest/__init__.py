"""Tables of any kind → the records table: CSV, Excel, Parquet, JSON, SQLite, any SQL database.

A reader (one file a kind) gives the cells of the named columns as strings; `convert` turns
them into records and refuses rows; `stage` writes. Nothing of a record's text ever gets into
a message or the rejects file.
"""

from emrobust.ingest.sources import file_kinds, open_table, source_of
from emrobust.ingest.stage import Preview, Through, batches, ingest, preview

__all__ = [
    "Preview",
    "Through",
    "batches",
    "file_kinds",
    "ingest",
    "open_table",
    "preview",
    "source_of",
]
