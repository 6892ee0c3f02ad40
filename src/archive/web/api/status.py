"""/api/status: what the archive is doing, nothing of patients."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from archive.services.status import Status
from archive.web.api import json_body, listing
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive


def status(archive: Archive, _asked: Asked) -> Answer:
    """How it stands now. Raises OutOfResources."""
    return json_body.answer(form(archive.status.now()))


def form(now: Status) -> dict[str, Any]:
    """It as JSON."""
    scrubber = now.scrubber
    return {
        "version": now.version,
        "workers": list(now.workers),
        "disks": [dataclasses.asdict(one) for one in now.disks],
        "index": {"kind": now.index_kind, "counts": now.counts},
        "queues": [
            {
                "event": one.event,
                "waiting": one.waiting,
                "failed": one.failed,
                "given_up": one.given_up,
                "oldest_at": listing.moment(one.oldest_at),
            }
            for one in now.queues
        ],
        "conflicts": now.conflicts,
        "quarantined": now.quarantined,
        "damaged": now.damaged,
        "scrubber": {
            "verified": scrubber.verified,
            "begun_at": listing.moment(scrubber.begun_at),
            "last_begun_at": listing.moment(scrubber.last_begun_at),
            "last_ended_at": listing.moment(scrubber.last_ended_at),
        },
    }
