"""A small data set read as a whole: the Action Information and attribute lists of DIMSE-N requests, as DICOM JSON.

The same walk over the bytes that reads objects, so what is broken is told in the same words. What those hold in
bulk is of no use here: such values come as a BulkDataURI, which nobody follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import zstandard

from archive.dicom.errors import CannotUnderstand
from archive.dicom.reading.metadata import Metadata
from archive.dicom.reading.structure import Structure
from archive.dicom.transfer_syntaxes import transfer_syntax

MAXIMUM_BYTES = 1 << 24
MAXIMUM_ELEMENTS = 200_000
"""Elements and items together: 20,000 references take 60,000."""


def read(pieces: Iterable[bytes], transfer_syntax_uid: str) -> dict[str, dict[str, Any]]:
    """The attributes by tag (PS3.18 F.2). Raises CannotUnderstand for what is broken or too much of it."""
    encoding = transfer_syntax(transfer_syntax_uid)
    metadata = Metadata(frozenset())
    structure = Structure(metadata, implicit=encoding.implicit, big_endian=encoding.big_endian)
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > MAXIMUM_BYTES:
            raise CannotUnderstand(f"the data set is longer than {MAXIMUM_BYTES} bytes")
        structure.feed(piece)
        if metadata.count > MAXIMUM_ELEMENTS:
            raise CannotUnderstand(f"more than {MAXIMUM_ELEMENTS} elements in the data set")
    structure.finish()
    text = zstandard.ZstdDecompressor().decompressobj().decompress(metadata.finish())
    attributes: dict[str, dict[str, Any]] = orjson.loads(text)
    return attributes
