"""A server that is tried: where it is, and, if it is ours, where it keeps what it has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Target:
    """`data` is the archive's own folder, None of a server into which nobody looks. `index_url`: as in the settings,
    empty where the index is in that folder."""

    http_port: int
    dimse_port: int
    ae_title: str = "ARCHIVE"
    prefix: str = "/dicom-web"
    data: Path | None = None
    index_url: str = ""
    host: str = HOST
