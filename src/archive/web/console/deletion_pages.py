"""The console's pages of what is deleted, and of what nobody deletes: deletions, retention, holds.

They show what the services tell; who approves, refuses, places or lifts on them asks the API.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from archive.security.roles import Right
from archive.services import certificates
from archive.services.deletion_requests import Request, State, is_second
from archive.web.api import deletions, listing
from archive.web.console import pages
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

SHOWN = 100
_OVER = (State.DONE, State.REFUSED)


def listed(archive: Archive, asked: Asked) -> Answer:
    """What waits for somebody, what is under way, and what is over. Raises OutOfResources."""
    found = [archive.deletions.last(states, SHOWN) for states in ((State.WAITING,), (State.DELETED,), _OVER)]
    hindrances = archive.deletions.hindrances([*found[0], *found[1]])
    waiting, going, over = (
        [_row(one, asked, hindrances.get(one.id, "")) for one in states] for states in found
    )
    return pages.render(
        archive,
        asked,
        "deletions.html",
        waiting=waiting,
        going=going,
        over=over,
        most=SHOWN,
        needs_reason=archive.settings.deletion.reason_required,
        needs_approval=archive.settings.deletion.approval,
        **_around(archive, asked),
    )


def one(archive: Archive, asked: Asked) -> Answer:
    """One, with its certificate once there is one. Raises NotFound, OutOfResources."""
    found = archive.deletions.get(deletions.number(asked))
    said = archive.deletions.hindrances([found]).get(found.id, "")
    text = certificates.worded(archive.deletions.certificate(found.id)) if found.certificate_sha256 else ""
    return pages.render(
        archive,
        asked,
        "deletion.html",
        one=_row(found, asked, said),
        certificate=text,
        sha256=found.certificate_sha256,
        **_around(archive, asked),
    )


def due(archive: Archive, asked: Asked) -> Answer:
    """The rules of retention, and what is due by them. Raises OutOfResources."""
    rules = [json.loads(rule.text) for rule in archive.settings.retention]
    found = islice(archive.deletions.due(), SHOWN)
    return pages.render(
        archive,
        asked,
        "due.html",
        rules=[_worded(rule) for rule in rules],
        due=[{"one": each, "since": listing.moment(max(each.since, 1.0))} for each in found],
        most=SHOWN,
        needs_approval=archive.settings.deletion.approval,
        **_around(archive, asked),
    )


def holds(archive: Archive, asked: Asked) -> Answer:
    """What is on hold, and what was; `study`, or `patient` and `issuer`, are filled in for another one."""
    filled_in = {name: asked.parameter(name) or "" for name in ("study", "patient", "issuer")}
    standing = archive.holds.last(limit=SHOWN)
    lifted = [each for each in archive.holds.last(lifted=True, limit=2 * SHOWN) if each.lifted_at]
    return pages.render(
        archive,
        asked,
        "holds.html",
        standing=standing,
        lifted=lifted[:SHOWN],
        filled_in=filled_in,
        most=SHOWN,
        **_around(archive, asked),
    )


def _around(archive: Archive, asked: Asked) -> dict[str, Any]:
    """What all of them have to know."""
    return {
        "moment": listing.moment,
        "allowed": archive.settings.http.deletion,
        "may_see": asked.principal.may(Right.SEE),
        "may_hold": asked.principal.may(Right.HOLD),
    }


def _row(found: Request, asked: Asked, hindrance: str) -> dict[str, Any]:
    """A deletion, what keeps it, and whether who looks may approve of it; else why not."""
    why_not = ""
    if not is_second(found, asked.actor):
        signed_in = "You asked for it: somebody else has to approve."
        why_not = signed_in if asked.actor.user else "Who approves has to sign in."
    return {"request": found, "hindrance": hindrance, "why_not": why_not}


def _worded(rule: dict[str, Any]) -> dict[str, str]:
    """A rule of the settings, for people."""
    spans = [f"{rule[f'keep_{unit}']} {unit}" for unit in ("years", "days") if rule.get(f"keep_{unit}")]
    conditions = (
        f"{name} {' or '.join([said] if isinstance(said, str) else said)}"
        for name in ("modality", "institution", "calling")
        if (said := rule.get(name))
    )
    return {
        "keep": " and ".join(spans),
        "from": "its arrival" if rule.get("counted_from") == "arrival" else "the study's date",
        "which": "; ".join(conditions) or "all others",
        "then": str(rule.get("then", "keep")),
    }
