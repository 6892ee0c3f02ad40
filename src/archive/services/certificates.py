"""Certificates of deletion: what was destroyed, when, by whose order and why, and where copies may still be.

A certificate is JSON, one way of writing it for one content, so that its SHA-256, which the audit trail keeps, proves
that it is what was made then. It names no patient but by an ID that somebody asked to delete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from archive.index.deletion_requests import Destroyed, Request

VERSION = 1
REMAINS = (
    "Backups, snapshots and replicas that were made before the deletion may hold copies until they are overwritten.",
    "Whoever retrieved, received or exported objects before the deletion has them still.",
    "Removed files were not overwritten: what the disk keeps of them is for its encryption or disposal.",
    "The audit trail, the record of corrections and the worklist stay; UIDs of what was deleted stay in the index.",
)
"""Said in every certificate: what the archive does not know, or does not destroy."""
_INDEX = {
    True: "The index wrote over what it had of the objects, and its log was emptied.",
    False: "The index forgot the objects; its server may hold old pages until VACUUM and its log until it is recycled.",
}


@dataclass(frozen=True, slots=True)
class Purge:
    """How the bytes went: whether the index wrote over what it had, and how many quarantined files went with them."""

    at: float
    overwritten: bool
    from_quarantine: int


def made(source_id: str, one: Request, destroyed: Sequence[Destroyed], purge: Purge) -> tuple[str, str]:
    """The certificate and its SHA-256."""
    told: dict[str, Any] = {
        "certificate": "deletion",
        "version": VERSION,
        "archive": source_id,
        "number": one.id,
        "level": one.level,
        **{name: value for name, value in _named(one)},
        "reason": one.reason,
        "overrides_retention": one.overrides,
        "asked_by": one.asked_by,
        "asked_at": moment(one.asked_at),
        "approved_by": one.decided_by,
        "approved_at": moment(one.decided_at),
        "deleted_at": moment(one.deleted_at),
        "purged_at": moment(purge.at),
        "index": _INDEX[purge.overwritten],
        "quarantined_files": purge.from_quarantine,
        "objects": [_object(each) for each in destroyed],
        "may_remain": list(REMAINS),
    }
    text = orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()
    return text, hashlib.sha256(text.encode()).hexdigest()


def worded(certificate: str) -> str:
    """The same for a person, line by line."""
    told = orjson.loads(certificate)
    lines = [f"Certificate of deletion {told['number']}", ""]
    lines += [
        f"{name.replace('_', ' ')}: {value}"
        for name, value in told.items()
        if isinstance(value, str) and value and name != "certificate"
    ]
    objects = told["objects"]
    lines += ["", f"{len(objects)} objects were destroyed:"]
    lines += [
        f"  {each['SOPInstanceUID']}  {each['what']}  {each['storage_key']}  {each['bytes']} bytes  "
        f"sha256 of the data set {each['sha256']}"
        for each in objects
    ]
    lines += ["", "What may remain:", *(f"  {sentence}" for sentence in told["may_remain"])]
    return "\n".join(lines) + "\n"


def _named(one: Request) -> Iterable[tuple[str, str]]:
    names = ("PatientID", "IssuerOfPatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return ((name, value) for name in names if (value := getattr(one, name)))


def _object(one: Destroyed) -> dict[str, Any]:
    return {
        "StudyInstanceUID": one.StudyInstanceUID,
        "SeriesInstanceUID": one.SeriesInstanceUID,
        "SOPInstanceUID": one.SOPInstanceUID,
        "what": one.what,
        "storage_key": one.blob_key,
        "sha256": one.sha256,
        "bytes": one.length,
    }


def moment(seconds: float) -> str:
    """A moment in UTC; empty for none."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""
