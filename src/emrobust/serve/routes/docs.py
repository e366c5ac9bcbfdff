"""``/docs``: the API described and tried, by Swagger UI from this machine alone."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from swagger_ui_bundle import swagger_ui_path

from emrobust.errors import NotFoundError
from emrobust.serve.app import describe

router = APIRouter(include_in_schema=False)

_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
# Swagger UI writes styles into its elements, and draws its icons from data: addresses.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>emrobust API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/docs/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null,
});
"""


@router.get("/openapi.json")
async def show_schema(request: Request) -> dict[str, Any]:
    """The API's description, OpenAPI 3.1."""
    return await asyncio.to_thread(describe, request.app)


@router.get("/docs/openapi.json")
async def show_schema_for_page(request: Request) -> dict[str, Any]:
    """The same for the page, whose Swagger UI (4.15) shows 3.1 but only under the name of 3.0."""
    return {**await show_schema(request), "openapi": "3.0.3"}


@router.get("/docs")
async def show_docs() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/start.js")
async def show_start() -> Response:
    """What the page runs; a policy forbids it to stand in the page."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{name}")
async def show_file(name: str) -> FileResponse:
    """A file of Swagger UI."""
    if name not in _FILES:
        raise NotFoundError("there is no such file")
    return FileResponse(f"{swagger_ui_path}/{name}", headers={"Cache-Control": "max-age=86400"})
