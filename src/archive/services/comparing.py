"""In what an object that is kept aside differs from what is stored: for the person who has to decide.

Attributes are compared as the DICOM JSON Model, at the top level of the data set; values that the metadata leaves out,
such as pixel data, by their bytes. The answer names patients, so it is for the eyes of administrators and no log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archive.dicom.attribute_ids import keyword
from archive.dicom.errors import NotAcceptable, NotFound
from archive.dicom.instance import BulkValue, Instance, StoredInstance
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.index import conflicts, instances, kept
from archive.index.conflicts import Conflict
from archive.index.database import Database
from archive.storage.base import Blob, BlobStore

MOST_DIFFERENCES = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """An attribute that is not the same: each side as DICOM JSON, None where it is absent. Of a value that the
    metadata leaves out, length and digest are told."""

    tag: str
    keyword: str
    stored: Any
    copy: Any


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two objects, its bytes open."""

    instance: Instance
    blob: Blob
    data_set_offset: int


def differences(store: BlobStore, database: Database, one: Conflict, copy: Side) -> list[Difference]:
    """The first ones, by tag. Raises NotAcceptable for metadata that are too long."""
    with kept.parsed(copy.instance.metadata) as members:
        of_copy = dict(members or {})
    with database.read() as connection:
        stored = instances.find_instance(connection, one.SOPInstanceUID)
        of_stored = conflicts.beside(connection, one)
        bulk = instances.bulk_values(connection, stored) if stored is not None else []
    if not of_copy or not of_stored:
        raise NotAcceptable(
            "there is nothing to compare with, or the metadata are too long: compare the files"
        )
    if stored is None:
        # Only what study and series say is known: an attribute of the instance is no difference.
        of_copy = {tag: value for tag, value in of_copy.items() if tag in of_stored}
    else:
        _add_bulk(of_stored, _digests(store, stored, bulk), of_copy, _digests_of(copy))
    tags = sorted(tag for tag in of_stored.keys() | of_copy.keys() if of_stored.get(tag) != of_copy.get(tag))
    return [
        Difference(tag, keyword(int(tag, 16)), of_stored.get(tag), of_copy.get(tag))
        for tag in tags[:MOST_DIFFERENCES]
    ]


_Digests = Mapping[str, Mapping[str, Any]]


def _add_bulk(of_stored: dict[str, Any], stored: _Digests, of_copy: dict[str, Any], copy: _Digests) -> None:
    """What the metadata leave out counts as a member of the attribute at the top level that it is in."""
    for path in stored.keys() | copy.keys():
        if stored.get(path) != copy.get(path):
            tag = path[:8]
            of_stored[tag] = {**of_stored.get(tag, {}), path: stored.get(path)}
            of_copy[tag] = {**of_copy.get(tag, {}), path: copy.get(path)}


def _digests(store: BlobStore, stored: StoredInstance, bulk: list[BulkValue]) -> _Digests:
    try:
        with store.open(stored.blob_key) as blob:
            return dict(_read(blob, stored.data_set_offset, stored.transfer_syntax_uid, bulk))
    except NotFound:
        return {}


def _digests_of(side: Side) -> _Digests:
    one = side.instance
    return dict(_read(side.blob, side.data_set_offset, one.transfer_syntax_uid, list(one.bulk_values)))


def _read(
    blob: Blob, offset: int, transfer_syntax_uid: str, bulk: list[BulkValue]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Length and digest of each value. Within a deflated data set only the lengths are told."""
    deflated = transfer_syntax(transfer_syntax_uid).deflated
    for value in bulk:
        told: dict[str, Any] = {"length": value.length}
        if not deflated:
            digest = hashlib.sha256()
            for piece in blob.pieces(offset + value.offset, value.length):
                digest.update(piece)
            told["sha256"] = digest.hexdigest()
        yield value.path, told
