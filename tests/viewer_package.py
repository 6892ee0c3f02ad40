"""A small package built as @ohif/app is, in good and in bad forms, and a registry that has it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SCRIPT = "app.bundle.0123456789abcdef.js"
INDEX = f'<script defer src="/{SCRIPT}"></script><link href="/app.bundle.css" rel="stylesheet">'
FILES = {
    "package/package.json": b"{}",
    "package/dist/index.html": INDEX.encode(),
    f"package/dist/{SCRIPT}": b'__webpack_require__.p = "/";' + b"// a script\n" * 200,
    f"package/dist/{SCRIPT}.map": b"{}",
    "package/dist/app.bundle.css": b"@font-face { src: url(/a.woff2) } b { background: url('/assets/b.png') }",
    "package/dist/assets/nested.css": b"i { background: url(/assets/b.png) }",
    "package/dist/assets/b.png": b"\x89PNG",
    "package/dist/fedcba9876543210.wasm": b"\0asm" + bytes(2000),
    "package/dist/ort/model.wasm": b"\0asm",
}


def packed(files: dict[str, bytes] | None = None, *members: tarfile.TarInfo) -> bytes:
    """The archive with these files, and these members after them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in (FILES if files is None else files).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)) if member.isfile() else None)
    return buffer.getvalue()


def integrity(content: bytes) -> str:
    """As npm names a digest."""
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


@dataclass
class Registry:
    """An npm registry with one package. `asked` are the paths that were asked for."""

    content: bytes
    integrity: str = ""
    tarball: str = ""
    cut: int = 0
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        """The version."""
        tarball = self.tarball or f"{self.url}/package.tgz"
        return {"dist": {"tarball": tarball, "integrity": self.integrity or integrity(self.content)}}


@contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    """It runs on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.asked.append(self.path)
            is_package = self.path.endswith(".tgz")
            body = registry.content if is_package else json.dumps(registry.describe()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: registry.cut] if is_package and registry.cut else body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    registry.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
