"""One study at /study/{study}: whose it is, its series with pictures, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Level
from archive.dicom.query import Key, Match, Query, UIDList
from archive.security.roles import Right
from archive.web.console import pages, words
from archive.web.console.share_pages import about_dialog
from archive.web.console.studies import INCLUDED, study_of
from archive.web.http.exchange import Answer, Asked
from archive.web.qido import STUDY_ROOT_FIND
from archive.web.wado import scope_of

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST_SERIES = 300
_STUDY = 0x0020000D
_BODY_PART = 0x00180015
_ISSUER = 0x00100021


@dataclass(frozen=True, slots=True)
class Series:
    """One series."""

    uid: str
    number: str
    description: str
    modality: str
    body_part: str
    images: str


def page(archive: Archive, asked: Asked) -> Answer:
    """The page. Raises NotFound, Gone, InvalidUID, OutOfResources."""
    keys = (Key((_STUDY,), UIDList((check_uid(asked.path["study"], _STUDY),))),)
    archive.auditing.out.asked(
        asked.actor, STUDY_ROOT_FIND, f"/studies/{asked.path['study']}/series".encode()
    )
    match = next(
        iter(archive.search.find(Query(Level.STUDY, keys, INCLUDED | {_ISSUER}, limit=1)).matches), None
    )
    if match is None:
        raise archive.retrieve.missing(scope_of(asked))
    found = archive.search.find(Query(Level.SERIES, keys, frozenset((_BODY_PART,)), limit=MOST_SERIES))
    study = study_of(match)
    return pages.render(
        archive,
        asked,
        "study.html",
        study=study,
        facts=[fact for fact in _facts(match) if fact],
        told=[(name, said) for name, said in _told(match) if said],
        series=[_series(one) for one in found.matches],
        unshown=found.remaining,
        series_count=words.number_of(study.series, "series", "series"),
        instances=words.number_of(study.instances, "object"),
        may_share=asked.principal.may(Right.SHARE),
        share=about_dialog(archive),
        share_studies=(study.uid,),
        needs_reason=archive.settings.deletion.reason_required,
        needs_approval=archive.settings.deletion.approval,
        may_delete=archive.settings.http.deletion and asked.principal.may(Right.DELETE),
        may_hold=asked.principal.may(Right.HOLD),
        issuer=words.text(match, "00100021"),
        hold=_hold(archive, asked, study.uid),
    )


def _hold(archive: Archive, asked: Asked, study_uid: str) -> int:
    """The number of a hold, for whom it concerns: who may place holds, and who would be refused a deletion."""
    concerned = asked.principal.may(Right.HOLD) or asked.principal.may(Right.DELETE)
    return archive.holds.on(study_uid) if concerned else 0


def _facts(match: Match) -> tuple[str, ...]:
    """What stands under the name."""
    sex, born = words.text(match, "00100040"), words.day(words.text(match, "00100030"))
    patient_id = words.text(match, "00100020")
    return (
        f"ID {patient_id}" if patient_id else "",
        f"born {born}" if born else "",
        words.SEXES.get(sex, sex),
    )


def _told(match: Match) -> tuple[tuple[str, str], ...]:
    day, time = words.day(words.text(match, "00080020")), words.time(words.text(match, "00080030"))
    return (
        ("Date", f"{day} {time}".strip()),
        ("Accession number", words.text(match, "00080050")),
        ("Referring physician", words.name(match, "00080090")),
        ("Study ID", words.text(match, "00200010")),
        ("Objects", f"{words.count(match, '00201208'):,}"),
        ("Study Instance UID", words.text(match, "0020000D")),
    )


def _series(match: Match) -> Series:
    return Series(
        uid=words.text(match, "0020000E"),
        number=words.text(match, "00200011"),
        description=words.text(match, "0008103E"),
        modality=words.text(match, "00080060"),
        body_part=words.text(match, "00180015"),
        images=words.number_of(words.count(match, "00201209"), "object"),
    )
