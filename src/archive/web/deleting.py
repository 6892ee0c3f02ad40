"""DELETE of a study, a series or an instance: an extension of ours, as Google's and Azure's DICOMweb have it.

204 once it is done, 410 when it was done before, 404 for what was never there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.wado import scope_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive


def delete(archive: Archive, asked: Asked) -> Answer:
    """Delete what the path means. Raises RequestRefused (403), Gone, NotFound, InvalidUID."""
    if not archive.settings.http.deletion:
        raise RequestRefused("nothing is deleted here: the administrator has set http.deletion to false", 403)
    archive.deletion.delete(scope_of(asked), asked.actor)
    return Answer(204)
