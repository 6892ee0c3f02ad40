"""DELETE of a study, a series or an instance: an extension of ours, as Google's and Azure's DICOMweb have it.

204 once it is done, 410 when it was done before, 404 for what was never there, 409 for what is on hold or to be kept
for longer; 202 where it waits for a second person (RFC 9110 9.3.5: it will likely succeed and was not enacted yet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.services.deletion_requests import Order, State, Target
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked, text
from archive.web.wado import scope_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive


def delete(archive: Archive, asked: Asked) -> Answer:
    """Delete what the path means. Raises RequestRefused (403, 409), OnHold, Retained, Gone, NotFound, InvalidUID."""
    if not archive.settings.http.deletion:
        raise RequestRefused("nothing is deleted here: the administrator has set http.deletion to false", 403)
    if archive.settings.deletion.reason_required:
        raise RequestRefused("nothing is deleted here without a reason: POST it to /api/deletions", 409)
    scope = scope_of(asked)
    uids = (scope.study_instance_uids, scope.series_instance_uids, scope.sop_instance_uids)
    target = Target("", "", *(next(iter(found), "") for found in uids))
    one = archive.deletions.ask(Order(target), asked.actor)
    if one.state == State.WAITING:
        return text(202, f"this waits as deletion {one.id} until a second person has approved of it")
    return Answer(204)
