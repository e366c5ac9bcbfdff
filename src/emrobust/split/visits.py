"""What a split needs to know of the visits: whose, when, where, with which labels; no texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from emrobust import records, rng

DAY = 86_400
_COLUMNS = ("patient_id", "visit_time", "site", "labels", "split")


@dataclass(frozen=True)
class Visits:
    """The visits of a records table, in its order.

    Attributes:
        patients: number of each row's patient, int64 [rows].
        patient_ids: the ids of these numbers.
        days: day of each visit since 1970, int64 [rows]; meaningless where not ``timed``.
        timed: whether the row has a visit time, bool [rows].
        sites: number of each row's site, int64 [rows]; rows without one have the site ``""``.
        site_names: the names of these numbers.
        labels: 0 or 1, [rows, labels].
        label_names: the labels, sorted.
        given: place in `records.SPLITS` that the source gives each row, int64 [rows]; -1 where
            it gives none.
    """

    patients: np.ndarray
    patient_ids: Sequence[str]
    days: np.ndarray
    timed: np.ndarray
    sites: np.ndarray
    site_names: Sequence[str]
    labels: sparse.csr_array
    label_names: Sequence[str]
    given: np.ndarray

    def __len__(self) -> int:
        return len(self.patients)


def read(path: Path) -> Visits:
    """Read the visits of a records file."""
    table = records.read(path, _COLUMNS).combine_chunks()
    patients, patient_ids = _numbered(table["patient_id"])
    sites, site_names = _numbered(pc.fill_null(table["site"], ""))
    times = table["visit_time"].cast(pa.timestamp("s"), safe=False)
    seconds = pc.fill_null(times.cast(pa.int64()), 0).to_numpy()
    labels, label_names = _indicator(table["labels"])
    return Visits(
        patients,
        patient_ids,
        seconds // DAY,
        pc.is_valid(table["visit_time"]).to_numpy(),
        sites,
        site_names,
        labels,
        label_names,
        _given(table["split"]),
    )


def _given(column: pa.ChunkedArray) -> np.ndarray:
    places = pc.fill_null(pc.index_in(column, pa.array(records.SPLITS)), -1)
    return np.asarray(places.to_numpy(), dtype=np.int64)


def keys(names: Sequence[str], seed: int) -> np.ndarray:
    """A random number for each name that depends on nothing but the seed and the name."""
    salt = rng.derive(seed, "groups").to_bytes(8, "little")
    return np.array(
        [
            int.from_bytes(hashlib.blake2b(n.encode(), digest_size=8, key=salt).digest(), "little")
            for n in names
        ],
        np.uint64,
    )


def _numbered(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    coded = pc.dictionary_encode(column).combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def _indicator(column: pa.ChunkedArray) -> tuple[sparse.csr_array, list[str]]:
    """Labels as a sparse matrix whose columns are in alphabetical order."""
    rows = pc.list_parent_indices(column).to_numpy().astype(np.int64)
    codes, names = _numbered(pc.list_flatten(column))
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    shape = (len(column), len(names))
    matrix = sparse.csr_array((np.ones(len(rows)), (rows, place[codes])), shape=shape)
    return matrix, [names[i] for i in order]
