"""Signing in with the hospital's account: a real provider, a real browser, and forgeries."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from urllib.parse import parse_qsl, urlencode

import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from emrobust.errors import ConfigError
from emrobust.serve import settings
from emrobust.serve.routes.page import policy

pytestmark = pytest.mark.browser
CLIENT, AUDIENCE = "emrobust-page", "emrobust"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """A small OpenID provider at a port of its own, which can be told to misbehave."""

    def __init__(self):
        self.codes, self.asked = {}, []
        self.nonce, self.lifetime = None, 300
        self.app = FastAPI()
        self.app.get("/.well-known/openid-configuration")(self.describe)
        self.app.get("/jwks")(self.keys)
        self.app.get("/authorize")(self.authorize)
        self.app.get("/known")(self.known)
        self.app.post("/token")(self.token)
        given = {"port": 0, "log_config": None, "access_log": False, "ws": "none"}
        self.server = uvicorn.Server(uvicorn.Config(self.app, **given))

    @property
    def issuer(self):
        (listening,) = self.server.servers[0].sockets
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    def _answer(self, content, status=200):
        return JSONResponse(content, status, {"Access-Control-Allow-Origin": "*"})

    def describe(self):
        doors = {f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in
                 (("authorization", "authorize"), ("token", "token"))}  # fmt: skip
        return self._answer({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **doors})

    def keys(self):
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
        return self._answer({"keys": [{**public, "kid": "k1"}]})

    def authorize(self, request: Request):
        """A page where the doctor signs in."""
        self.asked.append(dict(request.query_params))
        return HTMLResponse(
            '<link rel="icon" href="data:,">'
            f'<a id="yes" href="/known?{request.url.query}">Dr. Wang</a>'
        )

    def known(self, request: Request):
        asked = dict(request.query_params)
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.issuer}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 302)

    async def token(self, request: Request):
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append({"grant_type": form["grant_type"]})
        if form["grant_type"] == "refresh_token":
            begun = {"nonce": "", "client_id": CLIENT, "refresh_token": "r1"}
            proven = {name: form[name] for name in ("client_id", "refresh_token")}
        else:
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            proven = {**form, "code_challenge": proof}
            begun = self.codes.pop(form["code"], None)
        same = ("client_id", "redirect_uri", "code_challenge", "refresh_token")
        if begun is None or any(begun.get(name) != proven.get(name) for name in same):
            return self._answer({"error": "invalid_grant"}, 400)
        return self._answer(
            {
                "access_token": self._sign(aud=AUDIENCE, roles=["reviewer"], name="王医生"),
                "id_token": self._sign(aud=CLIENT, nonce=self.nonce or begun["nonce"]),
                "refresh_token": "r1", "token_type": "Bearer", "expires_in": self.lifetime,
            }
        )  # fmt: skip

    def _sign(self, **claims):
        now = int(time.time())
        base = {"iss": self.issuer, "sub": "dr.wang", "exp": now + self.lifetime, "iat": now}
        return jwt.encode({**base, **claims}, KEY, "RS256", {"kid": "k1"})


@pytest.fixture
def provider():
    made = Provider()
    thread = threading.Thread(target=made.server.run)
    thread.start()
    while not made.server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield made
    made.server.should_exit = True
    thread.join()


@pytest.fixture
def options(provider):
    return [
        f"sign_in.issuer={provider.issuer}", f"sign_in.keys_url={provider.issuer}/jwks",
        f"sign_in.audience={AUDIENCE}", f"sign_in.client_id={CLIENT}",
    ]  # fmt: skip


def kept(page):
    return page.evaluate(
        "[Object.keys(sessionStorage), Object.keys(localStorage), document.cookie]"
    )


def test_a_doctor_signs_in_with_the_hospitals_account_and_out(visit, provider):
    provider.lifetime = 31  # so that it is renewed after a second
    seen = visit()
    page = seen.page
    page.goto(seen.address)
    page.wait_for_selector("#account:focus")
    page.keyboard.press("Enter")
    page.click("#yes")
    page.wait_for_selector("#note textarea:focus")
    page.wait_for_event("response", lambda of: "/token" in of.url)
    assert page.inner_text("#caller") == "王医生 · 审阅者"
    assert page.url == f"{seen.address}/", "no code stays in the address"
    assert kept(page) == [["emrobust-key"], [], ""]
    seen.diagnose()
    assert {"grant_type": "refresh_token"} in provider.asked, "renewed before it ends"
    (asked,) = (one for one in provider.asked if "state" in one)
    assert asked["code_challenge_method"] == "S256"
    assert "prompt" not in asked
    page.click("#sign-out")
    page.wait_for_selector("#account:focus")
    assert kept(page) == [[], [], ""]
    page.keyboard.press("Enter")
    page.wait_for_selector("#yes")
    assert provider.asked[-1]["prompt"] == "login", "a ward's screen is shared"
    assert seen.errors == []
    asked_of = {url for url in seen.asked if not url.startswith((seen.address, "data:", "blob:"))}
    assert all(url.startswith(f"{provider.issuer}/") for url in asked_of)


def test_what_was_not_begun_here_or_is_not_for_here_signs_nobody_in(visit, provider):
    seen = visit()
    page = seen.page
    page.goto(f"{seen.address}/?code=stolen&state=guessed")
    page.wait_for_selector("#trouble:has-text('已失效')")
    assert page.url == f"{seen.address}/"
    assert {"grant_type": "authorization_code"} not in provider.asked
    provider.nonce = "another sign-in's"
    page.click("#account")
    page.click("#yes")
    page.wait_for_selector("#trouble:has-text('与设置不符')")
    assert kept(page) == [[], [], ""]
    provider.nonce = None
    page.click("#account")
    page.wait_for_selector("#yes")
    state = provider.asked[-1]["state"]
    page.goto(f"{seen.address}/?error=access_denied&state={state}")
    page.wait_for_selector("#trouble:has-text('登录未完成')")
    assert kept(page) == [[], [], ""]
    assert not page.is_visible("#diagnose")


def test_the_policy_opens_the_issuers_origin_and_no_other():
    closed = settings.SignIn()
    assert "connect-src" not in policy(closed)
    given = {
        "issuer": "https://id.hospital.test:8443/realms/clinic", "audience": AUDIENCE,
        "keys_file": "keys.json", "client_id": CLIENT,
    }  # fmt: skip
    opened = policy(settings.SignIn.model_validate(given))
    assert opened == f"{policy(closed)}; connect-src 'self' https://id.hospital.test:8443"
    for wrong in ("sign_in.client_id=a", "sign_in.issuer=http://id.hospital.test"):
        others = ["sign_in.audience=a", "sign_in.keys_file=k", "sign_in.client_id=a"]
        with pytest.raises(ConfigError):
            settings.load(None, [wrong, *(others if "issuer" in wrong else ())])
