"""The page that a link to studies leads to, and the one that lists the links that one has made.

The first counts nothing: scanners of mail look at it as well. Its script sends the secret, and the passcode where there
is one, to /api/share-session.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import Gone
from archive.security.shares import SHORTEST_PASSCODE, Share, State
from archive.services.shares import ENDINGS
from archive.web.api.shares import maker
from archive.web.console import pages
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

WORDS = {
    "modified_dates": "time between dates",
    "patient_characteristics": "age, sex and size of the patient",
    "device_identity": "the devices",
}
"""What a de-identified share may keep."""
_BADGES = {State.OPEN: "good", State.LOCKED: "wrong"}


def entrance(archive: Archive, asked: Asked) -> Answer:
    """The page of a link. Raises NotFound, Gone."""
    one, state = archive.shares.linked(asked.path["secret"])
    if state is not State.OPEN:
        raise Gone(ENDINGS[state])
    return pages.render(archive, asked, "share.html", number=len(one.shown), passcode=bool(one.passcode_hash))


def listed(archive: Archive, asked: Asked) -> Answer:
    """One's own links; for administrators those of everybody."""
    of = maker(asked)
    shares = [_row(archive, one) for one in archive.shares.listed(of)]
    return pages.render(archive, asked, "shares.html", shares=shares, everybody=of is None)


def about_dialog(archive: Archive) -> dict[str, Any]:
    """What `share_dialog.html` has to know besides the studies."""
    return {
        "longest_days": archive.settings.shares.longest_days,
        "shortest_passcode": SHORTEST_PASSCODE,
        "retained": WORDS,
    }


def _row(archive: Archive, one: Share) -> dict[str, Any]:
    state = archive.shares.state_of(one)
    allows = ["download" if one.may_download else "view only", *(["passcode"] if one.passcode_hash else [])]
    if one.deidentified is not None:
        kept = " and ".join(WORDS[name] for name in one.deidentified.options.names)
        allows.append(f"de-identified but for {kept}" if kept else "de-identified")
    return {
        "id": one.id,
        "state": state.value,
        "badge": _BADGES.get(state, ""),
        "revocable": state is not State.REVOKED,
        "recipient": one.recipient,
        "purpose": one.purpose,
        "made_by": one.made_by or "this machine",
        "studies": one.visible,
        "hidden": len(one.hidden),
        "expires_at": _moment(one.expires_at),
        "used": f"{one.uses} of {one.most_uses}" if one.most_uses else str(one.uses),
        "allows": ", ".join(allows),
    }


def _moment(seconds: float) -> str:
    """Scripts show it in the time of the browser."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
