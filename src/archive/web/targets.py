"""What the path of a retrieve request means: studies, series, instances, and their URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Scope, StoredInstance
from archive.services.retrieve import Intact
from archive.web.http import urls
from archive.web.http.exchange import Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_TAGS = {"study": 0x0020000D, "series": 0x0020000E, "instance": 0x00080018}


def scope_of(asked: Asked) -> Scope:
    """What the path means. Raises InvalidUID."""
    uids = {name: (check_uid(asked.path[name], tag),) for name, tag in _TAGS.items() if name in asked.path}
    return Scope(uids.get("study", ()), uids.get("series", ()), uids.get("instance", ()))


def found(archive: Archive, asked: Asked) -> list[StoredInstance]:
    """The instances that the path means, to be looked at. Raises NotFound when there are none, Gone, InvalidUID."""
    scope = scope_of(asked)
    stored = archive.retrieve.instances(scope)
    if not stored:
        raise archive.retrieve.missing(scope)
    archive.auditing.out.viewed(asked.actor, stored)
    return stored


def intact(archive: Archive, asked: Asked) -> Intact:
    """The same to be fetched, of which each has its bytes. Raises NotFound also when none has."""
    had = archive.retrieve.intact(scope_of(asked))
    archive.auditing.out.fetched(asked.actor, had.instances)
    return had


def one(archive: Archive, asked: Asked) -> StoredInstance:
    """The one instance that the path means, to be looked at. Raises as `found`."""
    instance = archive.retrieve.instance(scope_of(asked))
    archive.auditing.out.viewed(asked.actor, (instance,))
    return instance


def url_of(asked: Asked, instance: StoredInstance) -> str:
    """The resource of an instance."""
    return urls.resource_url(
        asked.base_url, instance.StudyInstanceUID, instance.SeriesInstanceUID, instance.SOPInstanceUID
    )
