"""The way back: sealed, complete, and never written over."""

from __future__ import annotations

import pytest

from emrobust.deid import mapping
from emrobust.deid.key import Key
from emrobust.errors import ConfigError, InputError

KEY = Key(b"a secret for the tests of today")
ENTRIES = [{"row": n, "original": f"原文{n}"} for n in range(5)]


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "map"
    with mapping.create(path, KEY) as file:
        file.add(ENTRIES[:2])
        file.add([])
        file.add(ENTRIES[2:])
    return path


def test_what_is_sealed_is_read_with_the_key_alone(sealed):
    assert list(mapping.read(sealed, KEY)) == ENTRIES
    assert "原文".encode() not in sealed.read_bytes()
    assert sealed.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="cannot be opened"):
        list(mapping.read(sealed, Key(b"another secret for other tests")))


def test_the_same_entries_are_sealed_differently_each_time(sealed, tmp_path):
    with mapping.create(tmp_path / "again", KEY) as file:
        file.add(ENTRIES[:2])
        file.add(ENTRIES[2:])
    assert (tmp_path / "again").read_bytes()[40:80] != sealed.read_bytes()[40:80]


@pytest.mark.parametrize("cut", [1, 25, 60])
def test_a_file_that_was_changed_or_cut_off_is_refused(sealed, cut):
    whole = sealed.read_bytes()
    sealed.write_bytes(whole[:-cut])
    with pytest.raises(InputError, match="cut off"):
        list(mapping.read(sealed, KEY))
    changed = bytearray(whole)
    changed[-cut] ^= 1
    sealed.write_bytes(bytes(changed))
    with pytest.raises(InputError):
        list(mapping.read(sealed, KEY))


def test_a_mapping_is_never_overwritten_and_no_part_is_left(sealed, tmp_path):
    before = sealed.read_bytes()
    with pytest.raises(ConfigError, match="exists already"), mapping.create(sealed, KEY):
        pass
    assert sealed.read_bytes() == before
    with pytest.raises(ZeroDivisionError), mapping.create(tmp_path / "new", KEY) as file:
        file.add(ENTRIES)
        raise ZeroDivisionError
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map"]
    (tmp_path / "text").write_text("no mapping")
    with pytest.raises(InputError, match="no mapping file"):
        list(mapping.read(tmp_path / "text", KEY))
