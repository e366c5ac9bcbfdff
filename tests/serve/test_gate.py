"""Who may ask, and how much."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from emrobust import runs
from emrobust.errors import ConfigError, DeniedError, UnavailableError
from emrobust.serve import settings
from emrobust.serve.caller import Caller
from emrobust.serve.gate import Buckets, Gate, Prefixes
from emrobust.serve.problem import RefusedError
from emrobust.serve.settings import Limits, SignIn
from emrobust.serve.sign_in import TokenReader
from emrobust.serve.store import clock, keys

ISSUER, AUDIENCE = "https://sign-in.hospital.test", "emrobust"


async def test_roles_open_what_they_should(client, as_role):
    for path, least in (("/v1/me", 0), ("/metrics", 1)):
        for rank, role in enumerate(("clinician", "reviewer", "administrator")):
            answer = await client.get(path, headers=as_role(role))
            assert answer.status_code == (200 if rank >= least else 403), (path, role)
    switched = await client.put("/v1/models/clinic/versions/1", json={"state": "shadow"})
    assert switched.status_code == 403
    assert switched.headers["content-type"] == "application/problem+json"


async def test_wrong_expired_and_missing_keys_are_refused(client, opened, tokens, monkeypatch):
    base = opened.store.database
    lifetime = dt.timedelta(seconds=60)
    expiring, _ = keys.add(base, name="e", role="clinician", actor="test", lifetime=lifetime)
    revoked, made = keys.add(base, name="r", role="clinician", actor="test")
    keys.revoke(base, made.prefix, "test")
    later = clock.now(120)
    monkeypatch.setattr(clock, "now", lambda: later)
    for headers in (
        {"Authorization": ""},
        {"Authorization": "Bearer emr_aaaaaaaaaaaa_x"},
        {"Authorization": f"Bearer {tokens['clinician']}x"},
        {"Authorization": f"Basic {tokens['clinician']}"},
        {"Authorization": f"Bearer {expiring}"},
        {"Authorization": "", "X-API-Key": revoked},
    ):
        answer = await client.get("/v1/me", headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["hint"]
    by_header = {"Authorization": "", "X-API-Key": tokens["clinician"]}
    assert (await client.get("/v1/me", headers=by_header)).status_code == 200


async def test_a_burst_of_requests_asks_the_store_for_a_key_once(client, opened, monkeypatch):
    asked = []
    admit = opened.store.doorkeeper.admit
    monkeypatch.setattr(opened.store.doorkeeper, "admit", lambda t: (asked.append(t), admit(t))[1])
    answers = await asyncio.gather(*(client.get("/v1/me") for _ in range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(asked) == 1


def me(client, token):
    return client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})


class TestLimits:
    @pytest.fixture
    def options(self):
        return ["limits.rate=0.5", "limits.burst=3", "limits.failures=2"]

    async def test_who_asks_too_often_is_told_when_to_come_back(self, client, as_role):
        codes = [(await client.get("/v1/me")).status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        answer = await client.get("/v1/me")
        assert 1 <= int(answer.headers["retry-after"]) <= 2
        assert (await client.get("/v1/me", headers=as_role("reviewer"))).status_code == 200

    async def test_keys_cannot_be_guessed_quickly(self, client):
        wrong = {"Authorization": "Bearer emr_aaaaaaaaaaaa_x"}
        codes = [(await client.get("/v1/me", headers=wrong)).status_code for _ in range(4)]
        assert codes == [401, 401, 429, 429]

    @pytest.fixture
    def asked(self, opened, monkeypatch):
        """The keys that were held against a hash, and how often all prefixes were read."""
        doorkeeper = opened.store.doorkeeper
        admit, prefixes = doorkeeper.admit, doorkeeper.prefixes
        seen = []
        monkeypatch.setattr(doorkeeper, "admit", lambda t: (seen.append(t), admit(t))[1])
        monkeypatch.setattr(doorkeeper, "prefixes", lambda: (seen.append("all"), prefixes())[1])
        return seen

    async def test_many_secrets_of_a_key_cannot_be_tried_at_once(self, client, tokens, asked):
        answers = await asyncio.gather(
            *(me(client, f"{tokens['clinician']}{number}") for number in range(20))
        )
        codes = [answer.status_code for answer in answers]
        assert (codes.count(401), codes.count(429), len(asked)) == (2, 18, 1 + 2)
        assert "wrong secret" in answers[-1].json()["detail"]
        assert (await me(client, tokens["reviewer"])).status_code == 200

    async def test_keys_that_are_made_up_cost_next_to_nothing(self, client, asked):
        answers = await asyncio.gather(*(me(client, f"emr_{n:012}_x") for n in range(20)))
        codes = [answer.status_code for answer in answers]
        assert (codes.count(401), codes.count(429), asked) == (2, 18, ["all"])

    async def test_who_sends_wrong_keys_locks_nobody_else_out(self, client, opened, tokens):
        for number in range(6):
            await me(client, f"emr_bad_{number}")
            await me(client, f"{tokens['administrator']}x")
        for role in ("clinician", "reviewer"):
            assert (await me(client, tokens[role])).status_code == 200, role
        new, _ = keys.add(opened.store.database, name="new", role="clinician", actor="test")
        assert (await me(client, new)).status_code == 200

    async def test_many_right_keys_may_come_at_once(self, client, opened):
        base = opened.store.database
        made = [keys.add(base, name=str(n), role="clinician", actor="test")[0] for n in range(30)]
        answers = await asyncio.gather(*(me(client, token) for token in made))
        assert [answer.status_code for answer in answers] == [200] * 30

    async def test_a_right_key_does_not_count_as_wrong(self, client, as_role):
        for _ in range(3):
            for role in ("clinician", "reviewer", "administrator"):
                answer = await client.get("/v1/me", headers=as_role(role))
                assert answer.status_code == 200


async def test_what_others_sign_wrongly_locks_nobody_out(opened):
    gate = Gate(opened.store.doorkeeper, Limits(failures=2))
    client = Caller("cds his-1", "clinician", "his")

    def refuse():
        raise DeniedError("the client's token is not accepted")

    for refusal in (DeniedError, DeniedError, RefusedError):
        with pytest.raises(refusal):
            gate.admit_by(refuse, "10.0.0.1")
    assert gate.admit_by(lambda: client, "10.0.0.1") is client
    gate.close()


async def test_no_key_is_called_unknown_since_the_store_was_away():
    found = [UnavailableError("away"), frozenset({"a"})]

    async def read():
        await asyncio.sleep(0)
        if isinstance(told := found.pop(0), Exception):
            raise told
        return told

    prefixes = Prefixes(read)
    asked = await asyncio.gather(*(prefixes.knows("a") for _ in range(3)), return_exceptions=True)
    assert isinstance(asked[0], UnavailableError)
    assert asked[1:] == [True, True]
    assert not found


def test_buckets_fill_again_and_do_not_grow_for_ever(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    buckets = Buckets(rate=2.0, burst=4)
    assert [buckets.take("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    now[0] = 0.5
    assert buckets.take("a") == 0
    now[0] = 100.0
    for number in range(30_000):
        buckets.take(str(number))
    assert len(buckets._levels) <= 10_000


@pytest.fixture(scope="module")
def private():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(private, number="k1"):
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
    return {"keys": [{**key, "kid": number, "use": "sig", "alg": "RS256"}, {"kty": "other"}]}


def token(private, number="k1", **claims):
    now = int(time.time())
    values = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "dr.a", "exp": now + 60, "roles": ["clinician"],
        **claims,
    }  # fmt: skip
    given = {key: value for key, value in values.items() if value is not None}
    return jwt.encode(given, private, algorithm="RS256", headers={"kid": number})


@pytest.fixture
def reader(private, tmp_path):
    runs.write_json(tmp_path / "keys.json", public(private))
    given = {"issuer": ISSUER, "audience": AUDIENCE, "keys_file": tmp_path / "keys.json"}
    return lambda **more: TokenReader(SignIn.model_validate({**given, **more}))


async def test_a_token_that_is_over_locks_nobody_at_its_address_out(opened, reader, private):
    gate = Gate(opened.store.doorkeeper, Limits(failures=2), reader())
    for refusal in (DeniedError, DeniedError, RefusedError):
        with pytest.raises(refusal):
            await gate.admit(token(private, exp=1), "10.0.0.1")
    assert (await gate.admit(token(private), "10.0.0.1")).actor == "oidc dr.a"
    gate.close()


async def test_a_token_of_the_sign_in_names_its_caller(reader, private):
    found = await reader().admit(token(private, name="Dr. A", roles=["clinician", "reviewer", "x"]))
    assert (found.actor, found.role, found.name) == ("oidc dr.a", "reviewer", "Dr. A")
    deep = reader(role_claim="realm_access.roles", roles={"chief": "administrator"})
    claims = {"roles": None, "realm_access": {"roles": ["chief"]}}
    assert (await deep.admit(token(private, **claims))).role == "administrator"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other"}, {"iss": "https://elsewhere.test"}, {"exp": 1}, {"exp": None},
        {"sub": None}, {"aud": None}, {"nbf": 2**33}, {"sub": "a\nb"},
    ],
)  # fmt: skip
async def test_tokens_for_others_and_broken_ones_are_refused(reader, private, claims):
    with pytest.raises(DeniedError):
        await reader().admit(token(private, **claims))


async def test_forged_tokens_are_refused(reader, private):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    unsigned = jwt.encode({"sub": "a"}, None, algorithm="none")
    # A public key is no secret, so it must not do as one.
    shared = jwt.encode({"sub": "a"}, "x" * 32, algorithm="HS256", headers={"kid": "k1"})
    for wrong in (token(other), token(private, "k2"), unsigned, shared, "no.token", "é"):
        with pytest.raises(DeniedError):
            await reader().admit(wrong)
    with pytest.raises(RefusedError, match="no role"):
        await reader().admit(token(private, roles=["visitor"]))


@pytest.fixture
def issuer(private):
    """A real HTTP server with the issuer's keys; it counts who asks, and may redirect."""
    state = {"asked": 0, "keys": public(private), "status": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state["asked"] += 1
            self.send_response(state["status"])
            if state["status"] == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(json.dumps(state["keys"]).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state["url"] = f"http://127.0.0.1:{server.server_port}/keys"
    yield state
    server.shutdown()
    server.server_close()


async def test_keys_are_fetched_once_and_again_when_they_change(issuer, private, monkeypatch):
    now = [10_000.0]
    monkeypatch.setattr("emrobust.serve.sign_in.time.monotonic", lambda: now[0])
    given = {"issuer": ISSUER, "audience": AUDIENCE, "keys_url": issuer["url"]}
    reader = TokenReader(SignIn.model_validate(given))
    await asyncio.gather(*(reader.admit(token(private)) for _ in range(10)))
    assert issuer["asked"] == 1
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    issuer["keys"] = public(other, "k2")
    for _ in range(3):  # unknown keys make it ask again, but not at every request
        with pytest.raises(DeniedError):
            await reader.admit(token(other, "k2"))
    assert issuer["asked"] == 1
    now[0] += 31
    assert (await reader.admit(token(other, "k2"))).actor == "oidc dr.a"
    issuer["status"] = 302
    now[0] += 4000
    assert (await reader.admit(token(other, "k2"))).actor == "oidc dr.a"  # with the keys it had
    issuer["status"], issuer["keys"] = 200, {"error": "no keys today"}
    now[0] += 31
    assert (await reader.admit(token(other, "k2"))).actor == "oidc dr.a"
    fresh = TokenReader(SignIn.model_validate(given))
    with pytest.raises(UnavailableError):
        await fresh.admit(token(other, "k2"))


async def test_who_has_a_known_key_does_not_wait_for_a_slow_issuer(issuer, private, monkeypatch):
    now = [10_000.0]
    monkeypatch.setattr("emrobust.serve.sign_in.time.monotonic", lambda: now[0])
    given = {"issuer": ISSUER, "audience": AUDIENCE, "keys_url": issuer["url"]}
    reader = TokenReader(SignIn.model_validate(given))
    await reader.admit(token(private))
    free = threading.Event()
    fetch = reader._fetch
    monkeypatch.setattr(reader, "_fetch", lambda: (free.wait(10), fetch())[1])
    now[0] += 4000
    waiting = asyncio.create_task(reader.admit(token(private, "k9")))
    while not reader._fetching.locked():
        await asyncio.sleep(0)
    assert (await reader.admit(token(private))).actor == "oidc dr.a"
    assert not waiting.done()
    free.set()
    with pytest.raises(DeniedError):
        await waiting


def test_half_a_sign_in_is_refused():
    with pytest.raises(ConfigError, match="audience"):
        settings.load(None, ["sign_in.issuer=https://a.test"])
    whole = ["sign_in.issuer=https://a.test", "sign_in.audience=b"]
    with pytest.raises(ConfigError, match="keys_url or keys_file"):
        settings.load(None, whole)
    with pytest.raises(ConfigError, match="https"):
        settings.load(None, [*whole, "sign_in.keys_url=http://keys.test/"])
    with pytest.raises(ConfigError, match=r"Did you mean `issuer`"):
        settings.load(None, ["sign_in.isuer=a"])
