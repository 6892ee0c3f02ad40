"""A package of an npm registry: what is said of one version, and its bytes.

What comes is bounded and not yet believed: whoever fetches it compares its digest.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any
from urllib.parse import quote, urlsplit

from archive.dicom.errors import ConfigurationError

SECONDS = 60
MOST_DESCRIPTION = 4 << 20
MOST_PACKAGE = 256 << 20
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Published:
    """One version of a package: where its archive is, and its digest as Subresource Integrity has it."""

    tarball: str
    integrity: str


def published(registry: str, package: str, version: str) -> Published:
    """What the registry says of this version. Raises ConfigurationError."""
    url = f"{registry.rstrip('/')}/{quote(package, safe='@')}/{quote(version, safe='')}"
    with _opened(url) as answer:
        text = answer.read(MOST_DESCRIPTION + 1)
    try:
        described = json.loads(text)["dist"]
        return Published(str(described["tarball"]), str(described.get("integrity", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(f"{url} does not answer as an npm registry does") from None


def pieces(url: str) -> Iterator[tuple[bytes, int]]:
    """The bytes at a URL, and of how many they are in all; 0: not known. Raises ConfigurationError."""
    with _opened(url) as answer:
        length, taken = int(answer.headers.get("Content-Length") or 0), 0
        while piece := _read(answer, url):
            taken += len(piece)
            if taken > MOST_PACKAGE:
                raise ConfigurationError(f"{url} has more than {MOST_PACKAGE} bytes: no viewer has")
            yield piece, length
        if length and taken != length:
            raise ConfigurationError(f"{url} broke off after {taken} of {length} bytes")


def _read(answer: IO[bytes], url: str) -> bytes:
    try:
        return answer.read(_PIECE)
    except (OSError, HTTPException) as error:
        raise ConfigurationError(f"{url} broke off: {type(error).__name__}") from None


@contextmanager
def _opened(url: str) -> Iterator[Any]:
    """No other schemes than those of the web, or a registry could name a file of this machine."""
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigurationError(f"{url} is no address of an npm registry")
        answer = urllib.request.urlopen(url, timeout=SECONDS)  # noqa: S310 - the scheme is one of the two
    except (OSError, ValueError, HTTPException) as error:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ConfigurationError(f"{url} cannot be fetched: {why}") from None
    with answer:
        yield answer
