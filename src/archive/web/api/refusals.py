"""/api/refusals: the last refused associations and objects, why, and what would let them in."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery
from archive.dicom.sop_classes import sop_class_name
from archive.web.api import json_body
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap import Archive

MOST = 1000
DEFAULT_LIMIT = 100


def search(archive: Archive, asked: Asked) -> Answer:
    """Both kinds, the newest first. Raises InvalidQuery."""
    limit = _limit(asked)
    associations = [_form(kept) for kept in archive.refusals.associations(limit)]
    objects = [
        {
            **_form(kept),
            "SOPInstanceUID": kept.SOPInstanceUID,
            "sop_class_name": sop_class_name(kept.refused.SOPClassUID),
        }
        for kept in archive.refusals.objects(limit)
    ]
    return json_body.answer({"associations": associations, "objects": objects})


def _form(kept: Any) -> dict[str, Any]:
    last = datetime.fromtimestamp(kept.time, UTC).isoformat(timespec="seconds")
    return {"last_at": last, "times": kept.times, **dataclasses.asdict(kept.refused)}


def _limit(asked: Asked) -> int:
    text = asked.parameter("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= MOST:
        raise InvalidQuery(f"limit is a number from 1 to {MOST}")
    return int(text)
