"""What came of the runs: one JSON file each, named after the run and the server, from which the report is made."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent / "results"


def write(run: str, server: str, version: str, figures: Mapping[str, Any]) -> Path:
    """Keep the figures of a run; where."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{run}-{server.lower()}.json"
    found = {"run": run, "server": server, "version": version, "date": time.strftime("%Y-%m-%d"), **figures}
    found["machine"] = f"{platform.system()} {platform.release()}"
    path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


def read(run: str = "") -> list[dict[str, Any]]:
    """The figures of a run, or of all, one for each server, in the order of their names."""
    found = [orjson.loads(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))]
    return [one for one in found if run in ("", one["run"])]
