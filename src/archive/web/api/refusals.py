"""/api/refusals: the last refused associations and objects, why, and what would let them in."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from archive.dicom.sop_classes import sop_class_name
from archive.web.api import json_body, listing
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST = 1000
DEFAULT_LIMIT = 100


def search(archive: Archive, asked: Asked) -> Answer:
    """Both kinds, the newest first. Raises InvalidQuery."""
    limit = listing.limit(asked, DEFAULT_LIMIT, MOST)
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
    last = listing.moment(kept.time)
    return {"last_at": last, "times": kept.times, **dataclasses.asdict(kept.refused)}
