"""Keys: read from files that are their owner's alone, and never shown."""

from __future__ import annotations

import copy

import pytest

from emrobust.deid.key import Key, make_key, read_key
from emrobust.errors import ConfigError


def test_a_new_key_is_its_owners_alone_and_never_overwritten(tmp_path):
    path = tmp_path / "keys" / "key"
    make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    secret = path.read_text().strip()
    key = read_key(path)
    assert secret not in repr(key) + str(key) + f"{key}" + key.fingerprint()
    with pytest.raises(ConfigError, match="never overwritten"):
        make_key(path)
    assert path.read_text().strip() == secret


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (b"", 0o600, "is empty"),
        (b"  \n", 0o600, "is empty"),
        (b"short", 0o600, "too short"),
        (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0o600, "too simple"),
        (b"a good secret of a good length", 0o640, "can be read by others"),
        (b"a good secret of a good length", 0o604, "can be read by others"),
    ],
)
def test_a_weak_or_open_key_file_is_refused(tmp_path, content, mode, says):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=says) as caught:
        read_key(path)
    assert "good secret" not in str(caught.value)


def test_a_missing_key_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="--new-key"):
        read_key(tmp_path / "absent")
    with pytest.raises(ConfigError, match="not a file"):
        read_key(tmp_path)


def test_a_worker_gets_the_same_key_and_other_names_other_bytes():
    key = Key(b"a good secret of a good length")
    same = copy.deepcopy(key)  # by the protocol that takes it to a process
    assert same.digest("a", "b") == key.digest("a", "b")
    assert key.digest("a", "b") != key.digest("ab", "") != key.digest("", "ab")
    assert "good secret" not in repr(key.__reduce_ex__(4))
