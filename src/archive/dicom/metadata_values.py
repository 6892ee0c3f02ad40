"""Single values out of an instance's DICOM JSON Model (PS3.18 annex F), by tag.

Rendering needs a dozen attributes of the metadata that ingest made. Reading them straight from the JSON
spares it a second parser and a data set library. A value that is absent, empty or not of the asked kind is
the default: real objects are full of them, and a picture with defaults is better than none.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from typing import Any

Metadata = Mapping[str, Any]


def values(metadata: Metadata, tag: str) -> Sequence[Any]:
    """The Value array of `tag` (eight hex digits), empty when there is none."""
    element = metadata.get(tag)
    found = element.get("Value") if isinstance(element, Mapping) else None
    return found if isinstance(found, list) else ()


def numbers(metadata: Metadata, tag: str) -> tuple[float, ...]:
    """All values as finite numbers; empty when one of them is none. IS and DS may be strings (PS3.18
    F.2.3)."""
    try:
        found = tuple(float(value) for value in values(metadata, tag))
    except (TypeError, ValueError):
        return ()
    return found if all(map(math.isfinite, found)) else ()


def number(metadata: Metadata, tag: str, default: float) -> float:
    """The first value as a number."""
    return (numbers(metadata, tag) or (default,))[0]


def integer(metadata: Metadata, tag: str, default: int) -> int:
    """The first value as a whole number."""
    return int(number(metadata, tag, default))


def text(metadata: Metadata, tag: str, default: str = "") -> str:
    """The first value, if it is text, without padding."""
    found = values(metadata, tag)
    return found[0].strip() if found and isinstance(found[0], str) else default


def items(metadata: Metadata, tag: str) -> tuple[Metadata, ...]:
    """The items of a sequence."""
    return tuple(item for item in values(metadata, tag) if isinstance(item, Mapping))


def item_at(metadata: Metadata, tag: str, number: int) -> tuple[Metadata, ...]:
    """The item of this number, from 1, of a sequence that may have many; none when it is not there."""
    return tuple(
        item for item in values(metadata, tag)[max(number - 1, 0) : number] if isinstance(item, Mapping)
    )


def binary(metadata: Metadata, tag: str) -> bytes | None:
    """The bytes of an InlineBinary value, little endian; None when the value is not there or only referred
    to."""
    element = metadata.get(tag)
    inline = element.get("InlineBinary") if isinstance(element, Mapping) else None
    if not isinstance(inline, str):
        return None
    try:
        return base64.b64decode(inline, validate=False)
    except (binascii.Error, ValueError):
        return None


def is_elsewhere(metadata: Metadata, tag: str) -> bool:
    """Whether the value is not here but behind a BulkDataURI."""
    element = metadata.get(tag)
    return isinstance(element, Mapping) and "BulkDataURI" in element
