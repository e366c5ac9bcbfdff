"""The service's settings: ``serve.toml`` and ``--set section.key=value``.

`docs/operations.md` explains each key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from emrobust import config
from emrobust.config import Section
from emrobust.serve.monitor.settings import MonitorSettings
from emrobust.serve.store import StoreSettings
from emrobust.serve.store.keys import Role

_PATHS = (
    ("serve", "jobs"),
    ("serve", "model_folders"),
    ("store", "url"),
    ("store", "text_key"),
    ("sign_in", "keys_file"),
    ("cds_hooks", "keys_file"),
)


class Server(Section):
    """Where the service listens, and how it computes."""

    host: str = Field("127.0.0.1", description="address to listen at")
    port: int = Field(8000, ge=0, le=65535, description="0: any that is free")
    threads: int | None = Field(None, ge=1, description="of a model; absent: all processors")
    precision: Literal["auto", "fp32", "int8"] = Field("auto", description="of the models")
    coverage: float = Field(
        0.9, gt=0.5, lt=1.0, description="of prediction sets where a request names none"
    )
    jobs: Path = Field(Path("jobs"), description="folder of the batch jobs' tables and results")
    model_folders: tuple[Path, ...] = Field(
        (), description="packages may be added from below these, while the service runs"
    )
    address: str | None = Field(
        None, pattern=r"^https?://\S+$", description="of the page, for links in CDS Hooks cards"
    )
    origins: tuple[str, ...] = Field((), description="other sites whose pages may ask (CORS)")
    open_metrics: bool = Field(False, description="/metrics without a key")
    grace: float = Field(20.0, gt=0.0, description="seconds for accepted requests at the end")


class Limits(Section):
    """What one caller may ask, and how much may wait."""

    body: int = Field(1_000_000, ge=1000, description="bytes of a request")
    upload: int = Field(200_000_000, ge=1000, description="bytes of a batch job's table")
    characters: int = Field(20_000, ge=100, description="of a text")
    deadline: float = Field(5.0, gt=0.0, description="seconds until a request is given up (504)")
    queue: int = Field(256, ge=1, description="texts that may wait for a model; more get 503")
    wait: float = Field(
        1.0, gt=0.0, description="seconds that a request may wait for a model; more get 503"
    )
    batch: int = Field(32, ge=1, le=1024, description="most texts that a model reads at once")
    rate: float = Field(50.0, gt=0.0, description="requests a second of a caller, in the long run")
    burst: int = Field(200, ge=1, description="requests of a caller at once")
    failures: int = Field(
        20, ge=1, description="wrong keys, or wrong secrets of one key, a minute from one address"
    )
    set_labels: int = Field(10, ge=1, description="a larger prediction set is abstention")


class Batch(Section):
    """Batch jobs; their folder is `serve.jobs`, and `limits.upload` the most bytes of a table."""

    keep_days: float = Field(7.0, ge=0.0, description="days until a result is erased")
    waiting: int = Field(20, ge=1, description="unfinished jobs of a caller; more get 429")
    lease: float = Field(30.0, ge=1.0, description="seconds until a killed worker's job is taken")


class SignIn(Section):
    """The hospital's own sign-in: tokens of OpenID Connect."""

    issuer: str | None = Field(None, description="`iss` of the tokens; absent: API keys alone")
    audience: str | None = Field(None, description="`aud` of the tokens")
    keys_url: str | None = Field(None, description="where the issuer's public keys (JWKS) are")
    keys_file: Path | None = Field(None, description="the same as a file; nothing is fetched")
    client_id: str | None = Field(
        None,
        description="of the page, a public client of the issuer; absent: the page asks for a key",
    )
    scope: str = Field("openid profile", description="what the page asks the issuer for")
    role_claim: str = Field("roles", description="the claim that holds roles; a.b goes deeper")
    roles: dict[str, Role] = Field({}, description="the claim's value → role, where not its name")
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "EdDSA"], ...] = Field(
        ("RS256", "PS256", "ES256"), min_length=1, description="of signatures"
    )

    @model_validator(mode="after")
    def _whole(self) -> SignIn:
        if self.issuer is None:
            if self.client_id is not None:
                raise ValueError("a client_id needs an issuer")
            return self
        if self.audience is None:
            raise ValueError("an issuer needs an audience, or tokens for others would do")
        if (self.keys_url is None) == (self.keys_file is None):
            raise ValueError("give either keys_url or keys_file")
        if self.keys_url is not None and not _is_safe(self.keys_url):
            raise ValueError("keys_url must begin with https://, or be on this machine")
        if self.client_id is not None and not _is_safe(self.issuer):
            raise ValueError(
                "with a client_id, issuer must begin with https://, or be on this machine"
            )
        return self


def _is_safe(url: str) -> bool:
    """Whether nobody on the way can put other keys in its place."""
    parts = urlsplit(url)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "https" or (parts.scheme == "http" and here)


class CdsHooks(Section):
    """Tokens that CDS Hooks clients sign themselves; `serve.address` must be set for them."""

    issuer: str | None = Field(None, description="`iss` of the tokens; absent: as all others")
    keys_file: Path | None = Field(None, description="the issuer's public keys (JWKS)")

    @model_validator(mode="after")
    def _whole(self) -> CdsHooks:
        if (self.issuer is None) != (self.keys_file is None):
            raise ValueError("give issuer and keys_file, or neither")
        return self


class Telemetry(Section):
    """Spans of requests, for the hospital's own OpenTelemetry collector."""

    endpoint: str | None = Field(
        None, description="of the collector, OTLP over HTTP; absent: no spans"
    )
    name: str = Field("emrobust", min_length=1, description="of this service, as it is told there")

    @model_validator(mode="after")
    def _whole(self) -> Telemetry:
        if self.endpoint is not None and not _is_safe(self.endpoint):
            raise ValueError("endpoint must begin with https://, or be on this machine")
        return self


class ServeSettings(Section):
    """A whole ``serve.toml``."""

    serve: Server = Server()
    store: StoreSettings = StoreSettings()
    limits: Limits = Limits()
    batch: Batch = Batch()
    sign_in: SignIn = SignIn()
    cds_hooks: CdsHooks = CdsHooks()
    monitor: MonitorSettings = MonitorSettings()
    telemetry: Telemetry = Telemetry()


def load(path: Path | None = None, overrides: Sequence[str] = ()) -> ServeSettings:
    """Read ``serve.toml``, or none, and apply overrides.

    Paths in the file are relative to the file; paths in overrides to the working folder.

    Raises:
        ConfigError: the file cannot be read, or lists every wrong key at once.
    """
    return config.load_as(ServeSettings, path, overrides, _PATHS)
