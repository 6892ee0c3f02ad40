"""POST …/reject/{code}^{scheme}: rejecting a study, a series or an instance, as dcm4chee-arc-light offers it.

OHIF deletes so. The archive makes a rejection note and carries it out as if somebody had stored it, so that it can be
taken back. Whoever may not delete may not reject, and a page of another origin only where its origin is named: a
browser sends a POST without a body, unlike a DELETE, without asking first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.dicom.errors import NotFound
from archive.dicom.instance import Source
from archive.dicom.rejection_notes import MEANINGS, SCHEME, Reason
from archive.web.api import guard
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.wado import scope_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

DOOR = "REJECT-RS"
_KNOWN = ", ".join(f"{reason.value}^{SCHEME}" for reason in MEANINGS)


def reject(archive: Archive, asked: Asked) -> Answer:
    """Reject what the path means. Raises RequestRefused (403), Gone, NotFound, InstanceConflict, InvalidUID."""
    if not archive.settings.http.deletion:
        raise RequestRefused("nothing is deleted here: the administrator has set http.deletion to false", 403)
    guard.check_page(archive.settings.http, asked)
    source = Source(DOOR, asked.peer_address, user=asked.principal.name)
    archive.rejections.reject(scope_of(asked), _reason(asked), source)
    return Answer(204)


def _reason(asked: Asked) -> Reason:
    code, _, scheme = asked.path["code"].partition("^")
    try:
        if scheme == SCHEME:
            return Reason(code)
    except ValueError:
        pass
    raise NotFound(f"unknown code of a rejection note: known are {_KNOWN}")
