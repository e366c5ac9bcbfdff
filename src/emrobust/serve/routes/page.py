"""The clinician's page: one document, and files whose address holds their checksum.

The document is asked for again at each visit, and answered with 304 where it is the same. All other
files lie under the checksum of them all, so a browser may keep them for good, and never mixes
files of two versions of the service.
"""

from __future__ import annotations

import functools
import hashlib
import mimetypes
from importlib import resources
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response

from emrobust.errors import NotFoundError
from emrobust.serve import problem
from emrobust.serve import service as room
from emrobust.serve.settings import SignIn
from emrobust.serve.shield import POLICY

router = APIRouter(tags=["page"], include_in_schema=False)
Service = Annotated[room.Service, Depends(room.of)]

_ROOM = "emrobust.serve"
_DOCUMENT = "index.html"
_PLACE = b"@VERSION@"
# Browsers refuse a module of another kind; the machine's own table may say what it likes.
_KINDS = {"js": "text/javascript", "css": "text/css", "json": "application/json"}
_FOR_GOOD = "public, max-age=31536000, immutable"


class Page(NamedTuple):
    """The page as it is served.

    Attributes:
        version: the start of the checksum of all files.
        document: with the version filled in.
        files: name → content.
    """

    version: str
    document: bytes
    files: dict[str, bytes]


@functools.cache
def read_page() -> Page:
    """Read the page's files, once for a process."""
    folder = resources.files(_ROOM).joinpath("page")
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(name.encode() + hashlib.sha256(content).digest())
    version = digest.hexdigest()[:16]
    return Page(version, files.pop(_DOCUMENT).replace(_PLACE, version.encode()), files)


@router.get("/")
async def show_page(request: Request, service: Service) -> Response:
    """The page itself."""
    page = read_page()
    headers = {
        "ETag": f'"{page.version}"',
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy(service.settings.sign_in),
    }
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(page.document, media_type="text/html", headers=headers)


def policy(settings: SignIn) -> str:
    """What the page may load and ask: the service, and the issuer where people sign in there."""
    if settings.client_id is None:
        return POLICY
    parts = urlsplit(settings.issuer or "")
    return f"{POLICY}; connect-src 'self' {parts.scheme}://{parts.netloc}"


@router.get("/page/sign-in")
async def show_sign_in(service: Service) -> dict[str, str]:
    """Where the page's users can sign in beside their keys; open to all, since nobody has yet."""
    settings = service.settings.sign_in
    if settings.issuer is None or settings.client_id is None:
        return {}
    named = {"client_id": settings.client_id, "scope": settings.scope}
    return {"issuer": settings.issuer, **named}


@router.get("/page/{version}/{name}", responses=problem.responses(404))
async def show_file(version: str, name: str) -> Response:
    """A file that the page needs."""
    page = read_page()
    if version != page.version or name not in page.files:
        raise NotFoundError("the page has no such file", "Load the page again.")
    headers = {"ETag": f'"{page.version}"', "Cache-Control": _FOR_GOOD}
    return Response(page.files[name], media_type=_kind(name), headers=headers)


def _kind(name: str) -> str:
    kind = _KINDS.get(name.rpartition(".")[2]) or mimetypes.guess_type(name)[0]
    return kind or "application/octet-stream"
