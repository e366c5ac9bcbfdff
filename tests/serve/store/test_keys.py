import datetime as dt

import pytest
import sqlalchemy as sa

from emrobust.errors import DeniedError, InputError, NotFoundError, StoreError
from emrobust.serve.store import clock, keys, versions
from emrobust.serve.store.schema import KEYS


@pytest.fixture
def base(opened):
    return opened.database


def test_a_key_is_known_by_its_hash_alone(opened, base):
    token, made = keys.add(base, name="ward 3", role="reviewer", actor="console")
    with base.read() as connection:
        (row,) = connection.execute(sa.select(KEYS)).mappings()
    secret = token.rpartition(f"{made.prefix}_")[2]
    assert row["hash"].startswith("$argon2id$")
    assert secret not in str(row)
    assert opened.doorkeeper.admit(token) == made == keys.every(base)[0]
    assert opened.audit()[0]["actor"] == "console"
    assert secret not in str(opened.audit())
    assert (made.allows("clinician"), made.allows("administrator")) == (True, False)


def test_wrong_expired_and_revoked_keys_are_refused(opened, base, monkeypatch):
    admit = opened.doorkeeper.admit
    token, made = keys.add(
        base, name="a", role="clinician", actor="x", lifetime=dt.timedelta(days=1)
    )
    other, _ = keys.add(base, name="b", role="clinician", actor="x")
    swapped = f"emr_{made.prefix}_{other.split('_', 2)[2]}"
    for wrong in ("", "emr", "emr__", "emr_absent_x", token + "x", token[:-1], swapped, "\ud800"):
        with pytest.raises(DeniedError, match="unknown"):
            admit(wrong)
    admit(token)
    later = clock.now(2 * 86400)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        with pytest.raises(DeniedError, match=f"{made.prefix} is expired"):
            admit(token)  # although it is remembered
    assert keys.revoke(base, made.prefix, "x").state() == "revoked"
    assert keys.revoke(base, made.prefix, "x").revoked == keys.every(base)[0].revoked
    admit(token)  # for a few seconds more, as documented
    monkeypatch.setattr(keys, "REMEMBERED_SECONDS", -1.0)
    with pytest.raises(DeniedError, match="revoked"):
        type(opened.doorkeeper)(base).admit(token)
    assert [row["action"] for row in opened.audit()] == ["key added"] * 2 + ["key revoked"]


def test_what_makes_no_key_is_told(base):
    with pytest.raises(InputError, match="Did you mean `reviewer`"):
        keys.add(base, name="a", role="reviwer", actor="x")
    with pytest.raises(InputError, match="valid for some time"):
        keys.add(base, name="a", role="reviewer", actor="x", lifetime=dt.timedelta())
    with pytest.raises(NotFoundError):
        keys.revoke(base, "absent", "x")


def test_one_version_of_a_model_is_active(opened, base):
    for version in ("1", "2"):
        made = versions.register(
            base, name="zh", version=version, checksum="ab", path="/p", actor="x"
        )
    assert made.full_name == "zh@2"
    again = versions.register(base, name="zh", version="2", checksum="ab", path="/p", actor="y")
    assert again == made
    moved = versions.register(base, name="zh", version="2", checksum="ab", path="/q", actor="y")
    assert (moved.path, moved.at, moved.actor) == ("/q", made.at, "x")
    with pytest.raises(StoreError, match="another checksum"):
        versions.register(base, name="zh", version="2", checksum="cd", path="/p", actor="x")

    def switch(version, state):
        versions.switch(base, name="zh", version=version, state=state, actor="x")
        return [found.state for found in versions.every(base, "zh")]

    assert switch("1", "active") == ["active", "ready"]
    assert switch("2", "shadow") == ["active", "shadow"]
    assert switch("2", "active") == ["ready", "active"]
    assert switch("1", "retired") == ["retired", "active"]
    back = versions.register(base, name="zh", version="1", checksum="ab", path="/p", actor="y")
    assert (back.state, back.actor) == ("ready", "y")
    assert versions.every(base, "zh")[0] == back
    assert opened.audit()[-1]["action"] == "model ready"
    with pytest.raises(NotFoundError):
        switch("3", "active")
    with pytest.raises(InputError, match="no state"):
        switch("1", "on")
    told = [row["model"] for row in opened.audit() if row["action"] == "model active"]
    assert told == ["zh@1", "zh@2"]
