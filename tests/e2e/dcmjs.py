"""dcmjs-dimse of npm as a client: requests over one association, and what became of them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archive_process import ArchiveServer
from npm_packages import installed

SCRIPT = Path(__file__).with_name("dcmjs_dimse.js")
VERSION = "0.3.3"


@dataclass(frozen=True)
class Said:
    """What became of an association: how it began, the answers to each request, what C-GET brought,
    and N-EVENT-REPORTs."""

    association: dict[str, Any]
    results: list[list[dict[str, Any]]]
    received: list[dict[str, str]]
    reports: list[dict[str, Any]]

    @property
    def statuses(self) -> list[list[int]]:
        """The Status of each answer to each request."""
        return [[answer["status"] for answer in answers] for answers in self.results]


@dataclass(frozen=True)
class Ask:
    """Sends requests: `ask(server, {"kind": "echo"}, …, calling=…, options={…})`."""

    node: str
    folder: Path

    def __call__(
        self,
        server: ArchiveServer,
        *requests: dict[str, Any],
        calling: str = "DCMJS",
        called: str = "",
        port: int = 0,
        options: dict[str, Any] | None = None,
    ) -> Said:
        peer = [str(port or server.dimse_port), called or server.ae_title, calling, json.dumps(options or {})]
        command = [self.node, str(SCRIPT), str(self.folder), *peer]
        asked = json.dumps(requests).encode()
        done = subprocess.run(command, input=asked, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return Said(**json.loads(done.stdout))


def asking(node: str) -> Ask:
    """With the package that is fetched at the first call. Raises PackageMissing."""
    return Ask(node, installed("dcmjs-dimse", VERSION))
