"""What we depend on is new enough to lack the holes that are known (reliability.md 2.1), and nothing unwanted comes
along."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[1]
OURS = "dicom-archive"

FLOORS = {
    "pynetdicom": "3.0.4",
    "pydicom": "3.0.2",  # CVE-2026-32711
    "starlette": "1.10",  # CVE-2026-48710, CVE-2025-62727, CVE-2025-54121, CVE-2024-47874
    "uvicorn": "0.54",
    "h11": "0.16",
    "pyjwt": "2.13",  # CVE-2026-48523, CVE-2022-29217
    "pillow": "13",
    "pylibjpeg-openjpeg": "2.6",
    "pyotp": "2.9",
    "segno": "1.6",
}
"""The oldest versions that may be installed."""

UNWANTED = {
    "python-multipart": "bodies are taken apart by our own parser, which has limits",
    "multipart": "as above",
    "python-gdcm": "leaks on odd file meta information (CVE-2026-3650), without a fix",
    "pylibjpeg-libjpeg": "GPL-3: optional only",
    "python-jose": "key confusion",
    "lxml": "follows entities unless told not to; our readers drive expat",
}

KNOWN_AND_HARMLESS: dict[str, str] = {}
"""Ids of vulnerabilities that do not reach us -> why."""

SECONDS = 300


def declared() -> dict[str, Requirement]:
    """What pyproject.toml asks for, without extras."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return {canonicalize_name(one.name): one for one in map(Requirement, project["dependencies"])}


def closure() -> dict[str, str]:
    """Everything that an installation of the archive brings along, and the versions here."""
    found: dict[str, str] = {}
    left = [Requirement(OURS)]
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        of_extras = [{"extra": extra} for extra in ("", *wanted.extras)]
        for text in importlib.metadata.requires(name) or ():
            one = Requirement(text)
            if one.marker is None or any(one.marker.evaluate(extra) for extra in of_extras):
                known = found.get(canonicalize_name(one.name))
                if known is None or one.extras:
                    found[canonicalize_name(one.name)] = importlib.metadata.version(one.name)
                    left.append(one)
    return found


@pytest.mark.parametrize("name", FLOORS)
def test_nothing_older_is_installed(name: str) -> None:
    floors = [Version(one.version) for one in declared()[name].specifier if one.operator == ">="]
    assert floors, f"{name} has no oldest version in pyproject.toml"
    assert max(floors) >= Version(FLOORS[name])
    assert Version(importlib.metadata.version(name)) >= Version(FLOORS[name])


def test_nothing_unwanted_comes_along() -> None:
    found = closure()
    assert set(declared()) <= set(found)
    assert {"sqlalchemy", "httptools", "cffi"} <= set(found), "dependencies of dependencies are seen"
    assert {name: why for name, why in UNWANTED.items() if name in found} == {}


def test_no_form_of_starlette_is_read() -> None:
    """Its parser is python-multipart's; and who decides by `request.url` decides by the Host header (H10)."""
    sources = "\n".join(path.read_text() for path in (REPOSITORY / "src" / "archive" / "web").rglob("*.py"))
    assert "starlette" in sources
    assert not re.search(r"request\.form\(|request\.url\b|starlette\.requests|FormParser", sources)


def test_no_known_vulnerability(tmp_path: Path) -> None:
    """pip-audit, of what an installation brings along, where an index answers."""
    versions = closure()
    listed = tmp_path / "requirements.txt"
    listed.write_text("".join(f"{name}=={version}\n" for name, version in sorted(versions.items())))
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--requirement", str(listed), "--no-deps", "--disable-pip",
         "--progress-spinner", "off", "--timeout", "10", "--format", "json"],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    try:
        audited = [one for one in json.loads(done.stdout)["dependencies"] if "vulns" in one]
    except ValueError:
        audited = []
        assert re.search(r"[Cc]onnect|[Tt]imed? ?out|unreachable|HTTPError", done.stderr), done.stderr
    if len(audited) < len(versions) / 2:
        pytest.skip("this machine cannot reach an index of vulnerabilities")
    known = {
        f"{one['name']} {each['id']}"
        for one in audited
        for each in one["vulns"]
        if each["id"] not in KNOWN_AND_HARMLESS
    }
    assert known == set()
