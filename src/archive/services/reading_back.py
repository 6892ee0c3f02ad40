"""An object read from its file, as it was when it came in: for an index that is made again."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any

from pydicom import dcmread

from archive.dicom import part10
from archive.dicom.errors import CannotUnderstand
from archive.dicom.instance import Form, Instance, Source
from archive.dicom.reading.reader import DataSetReader
from archive.index.reentering import Found
from archive.index.standing import Entry
from archive.storage.base import Blob

DOOR = "REINDEX"
"""Where an object came from of which only its file is left."""


def read(key: str, blob: Blob, came: float, entry: Entry) -> Found:
    """What a file holds. Raises InvalidObject for what is no object, and for what is not what it was."""
    meta, instance, digest = _read(blob)
    facts = entry.get("instance", {})
    if facts and (facts["data_set_offset"], facts["sha256"]) != (meta.length, digest):
        raise CannotUnderstand("its bytes are not those that were stored: restore them from a backup")
    received = Form(
        facts.get("received_sha256") or digest,
        facts.get("received_transfer_syntax_uid") or instance.transfer_syntax_uid,
    )
    return Found(
        instance,
        key,
        meta.length,
        digest,
        received,
        _source(meta.header, facts),
        float(facts.get("stored_at", came)),
        is_known=bool(facts),
    )


def _read(blob: Blob) -> tuple[part10.FileMeta, Instance, str]:
    header, digest = part10.FileMetaReader(), hashlib.sha256()
    reader: DataSetReader | None = None
    for piece in blob.pieces(0, blob.length):
        data = piece
        if reader is None:
            if not header.feed(piece):
                continue
            reader, data = DataSetReader(header.meta.transfer_syntax_uid), header.rest
        digest.update(data)
        reader.feed(data)
    meta = header.meta
    if reader is None:
        raise CannotUnderstand("the file ends behind its File Meta Information")
    return meta, reader.finish(), digest.hexdigest()


def _source(header: bytes, facts: dict[str, Any]) -> Source:
    """Who sent it; what came by DIMSE has the AE titles in its File Meta Information, as we wrote that."""
    if facts:
        return Source(*(facts[name] for name in ("door", "address", "calling_ae_title", "called_ae_title")))
    told = dcmread(BytesIO(header), force=True).file_meta
    titles = ("SourceApplicationEntityTitle", "ReceivingApplicationEntityTitle")
    calling, called = (str(told.get(name) or "")[:16] for name in titles)
    return Source(DOOR, "", calling, called)
