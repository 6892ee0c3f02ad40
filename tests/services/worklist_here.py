"""An archive with settings of the worklist on either engine, and what tests of it share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.instance import Level
from archive.dicom.query import Key, Query
from archive.dicom.worklist import entries as rules
from archive.dicom.worklist import keyword_form
from archive.dicom.worklist.entries import text
from archive.settings.planning import WorklistSettings
from suites.sqlite import prepare
from worklists import as_json, ended, performed


@contextmanager
def worklist_archive(folder: Path, index_url: str, **worklist: Any) -> Iterator[Archive]:
    """`offered` and the like are settings of the worklist."""
    settings = config.load(environment={}, overrides={"data": str(folder), "index.url": index_url})
    settings = replace(settings, worklist=WorklistSettings(**worklist))
    prepare(settings)
    archive = building.build(settings)
    try:
        yield archive
    finally:
        archive.close()


def ask(archive: Archive, *keys: Key, **options: Any) -> list[str]:
    """The accession numbers of what is offered."""
    query = Query(Level.IMAGE, keys, combined=True, **options)
    return [text(one, rules.ACCESSION) for one in archive.worklist.find(query, 1000) if one is not None]


def begin(archive: Archive, of: dict[str, Any], uid: str = "1.9", **attributes: Any) -> None:
    """A modality begins with an entry."""
    archive.performed_steps.create(uid, as_json(performed(of, **attributes)), "CT1", "127.0.0.1")


def end(archive: Archive, status: str = "COMPLETED", uid: str = "1.9", **attributes: Any) -> None:
    """A modality ends what it has begun."""
    archive.performed_steps.change(uid, as_json(ended(status, **attributes)), "CT1")


def enter(archive: Archive, of: dict[str, Any]) -> int:
    """A new entry; its key."""
    [key] = archive.worklist.add(keyword_form.data_set(of), "test")
    return key
