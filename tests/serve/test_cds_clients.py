"""Tokens that CDS Hooks clients sign: which are taken, for what, and how often."""

from __future__ import annotations

import json
import time
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from emrobust.errors import ConfigError
from emrobust.serve import settings
from emrobust.serve.cds_clients import ClientTokens

pytestmark = pytest.mark.anyio
ADDRESS = "https://emrobust.hospital.example"
ISSUER = "https://his.example/"
FEEDBACK = "/cds-services/emrobust-patient-view/feedback"
KEY, OTHER = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())


@pytest.fixture
def keys_file(tmp_path):
    public = {**json.loads(ECAlgorithm.to_jwk(KEY.public_key())), "kid": "k1", "alg": "ES384"}
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [public]}), encoding="utf-8")
    return path


@pytest.fixture
def options(keys_file):
    return [
        f"serve.address={ADDRESS}/",
        f"cds_hooks.issuer={ISSUER}",
        f"cds_hooks.keys_file={keys_file}",
    ]


def sign(key=KEY, algorithm="ES384", kid="k1", **more):
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": f"{ADDRESS}{FEEDBACK}", "exp": now + 300, "iat": now,
        "jti": str(uuid.uuid4()), "tenant": "his-1", **more,
    }  # fmt: skip
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm, {"kid": kid, "typ": "JWT"})


def wrong_tokens():
    now = int(time.time())
    return {
        "another key": sign(OTHER),
        "another key's number": sign(kid="k2"),
        "no signature": sign(None, "none"),
        "a shared secret": sign("a secret that is long enough for HMAC", "HS256"),
        "another address": sign(aud=f"{ADDRESS}/cds-services"),
        "another issuer": sign(iss="https://else.example/"),
        "over": sign(exp=now - 600),
        "endless": sign(exp=now + 90_000),
        "no number": sign(jti=None),
        "no end": sign(exp=None),
    }


async def ask(client, token, path=FEEDBACK):
    """Feedback on a card that is not there: 404 where the token is right."""
    outcome = {
        "card": str(uuid.uuid4()),
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-22T10:00:00Z",
    }
    headers = {"Authorization": f"Bearer {token}"}
    return await client.post(path, json={"feedback": [outcome]}, headers=headers)


async def test_a_clients_token_is_taken_once_and_for_its_address(client):
    token = sign()
    assert (await ask(client, token)).status_code == 404  # the card is unknown, the client is not
    assert (await ask(client, token)).status_code == 401
    for name, wrong in wrong_tokens().items():
        told = await ask(client, wrong)
        assert told.status_code == 401, (name, told.text)
        assert told.headers["www-authenticate"], name


async def test_a_clients_token_opens_nothing_else_and_keys_go_on(client, as_role):
    headers = {"Authorization": f"Bearer {sign(aud=f'{ADDRESS}/v1/me')}"}
    assert (await client.get("/v1/me", headers=headers)).status_code == 401
    key = as_role("clinician")["Authorization"].removeprefix("Bearer ")
    assert (await ask(client, key)).status_code == 404


def test_settings_that_cannot_work_are_refused(keys_file):
    with pytest.raises(ConfigError):
        settings.load(None, [f"cds_hooks.issuer={ISSUER}"])
    given = settings.CdsHooks(issuer=ISSUER, keys_file=keys_file)
    with pytest.raises(ConfigError):
        ClientTokens(given, None)
    keys_file.write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError):
        ClientTokens(given, ADDRESS)
