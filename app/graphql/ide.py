"""GraphiQL, from our own files: nothing is fetched from elsewhere, and the page may run no other
script than ours.

The files are built by static/build.mjs out of the npm packages in static/package.json; the
licences of all of them are served beside them.
"""

import gzip
import hashlib
from functools import cache
from importlib import resources
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
# GraphiQL sets styles from scripts; it needs no other exception.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self' {sockets}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tariff GraphQL</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="graphql/assets/graphiql.css?v={css}">
<script type="module" src="graphql/assets/graphiql.js?v={js}"></script>
</head>
<body><div id="graphiql">Loading…</div></body>
</html>
"""


def page(sockets: str = "ws: wss:") -> Response:
    """The page at /graphql for browsers."""
    html = _PAGE.format(css=_digest("graphiql.css"), js=_digest("graphiql.js"))
    return Response(
        html,
        headers={
            "content-security-policy": _POLICY.format(sockets=sockets),
            "cache-control": "no-cache",
            "vary": "accept",
            "x-frame-options": "DENY",
        },
        media_type="text/html; charset=utf-8",
    )


async def asset(request: Request) -> Response:
    """One of the files of the page; named with its digest, it never changes."""
    name: str = request.path_params["name"]
    content = _files().get(name)
    if content is None:
        raise HTTPException(404)
    headers = {
        "cache-control": "public, max-age=31536000, immutable",
        "content-encoding": "gzip",
        "vary": "accept-encoding",
    }
    if "gzip" not in request.headers.get("accept-encoding", ""):
        content = gzip.decompress(content)
        del headers["content-encoding"]
    return Response(content, headers=headers, media_type=_TYPES[name.rsplit(".", 1)[-1]])


@cache
def _files() -> dict[str, bytes]:
    """The built files by name, compressed."""
    folder = resources.files("app.graphql") / "static" / "built"
    found = {}
    for entry in folder.iterdir():
        content = entry.read_bytes()
        packed = content if entry.name.endswith(".gz") else gzip.compress(content, mtime=0)
        found[entry.name.removesuffix(".gz")] = packed
    return found


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(_files()[name]).hexdigest()[:12]
