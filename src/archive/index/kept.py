"""The kept metadata of an instance, decompressed and parsed within bounds.

Metadata may be larger than memory bears, many times larger once it is parsed. Answers hold, and searches examine, only
what is within the bounds here; whoever wants more retrieves the metadata, which is streamed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import zstandard

MAXIMUM_METADATA = 1 << 23
"""Bytes of JSON that are parsed at a time."""
MAXIMUM_COMPRESSED = 1 << 20
"""The same as it is stored, and read with the row."""

_SMALL = 1 << 18
_PIECE = 1 << 17
_parsing = threading.Lock()
"""Parsed JSON takes twenty times its length: of what is large, one at a time. The parser holds the interpreter's lock
anyway."""


@contextlib.contextmanager
def parsed(compressed: bytes | None) -> Iterator[dict[str, Any] | None]:
    """The attributes by their tags; None where there are no metadata, or too long ones. They are to be let go of at
    the end of the block."""
    text = _decompressed(compressed) if compressed else b""
    if not text:
        yield None
    elif len(text) <= _SMALL:
        yield orjson.loads(text)
    else:
        with _parsing:
            yield orjson.loads(text)


def _decompressed(compressed: bytes) -> bytes:
    """The metadata, or nothing if it is too long."""
    reader = zstandard.ZstdDecompressor().stream_reader(compressed)
    text = bytearray()
    while piece := reader.read(_PIECE):
        text += piece
        if len(text) > MAXIMUM_METADATA:
            return b""
    return bytes(text)
