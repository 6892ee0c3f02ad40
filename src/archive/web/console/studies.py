"""The study list at /: what was asked for, the newest first, a page at a time.

The alternatives of a question (`asking`) are asked together. That there are more than a page shows is known by asking
for one more: to count them would take longer than to find them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from archive.dicom.errors import ArchiveError, InvalidQuery, NotAuthorized
from archive.dicom.instance import Level
from archive.dicom.query import Match, Query
from archive.web.console import asking, navigation, pages, words
from archive.web.http.exchange import Answer, Asked, text
from archive.web.qido import STUDY_ROOT_FIND
from archive.web.viewer import ohif
from archive.web.viewer.policies import public_path

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

PAGE = 25
LAST_PAGE = 40
"""Who has not found it among a thousand asks more precisely; and every page before it is found anew for a merge."""
INCLUDED = frozenset((0x00100030, 0x00100040, 0x00081030, 0x00080061, 0x00201206, 0x00201208))
_RESOURCE = "/studies"


@dataclass(frozen=True, slots=True)
class Study:
    """One line."""

    uid: str
    patient_name: str
    patient_id: str
    birth_date: str
    sex: str
    day: str
    time: str
    description: str
    modalities: tuple[str, ...]
    series: int
    instances: int
    accession_number: str


@dataclass(frozen=True, slots=True)
class Sought:
    """What the form holds."""

    text: str
    first: str
    last: str
    modality: str
    similar: bool
    page: int

    @property
    def filters(self) -> asking.Filters:
        """The dates as DICOM writes them."""
        first, last = (
            f"{found:%Y%m%d}" if (found := asking.day(one)) else "" for one in (self.first, self.last)
        )
        return asking.Filters(first, last, self.modality)

    @property
    def is_anything(self) -> bool:
        """Whether it narrows anything."""
        return bool(self.text or self.first or self.last or self.modality)

    def at(self, page: int) -> str:
        """The query string of another page of the same."""
        said = {"q": self.text, "from": self.first, "to": self.last, "modality": self.modality}
        said |= {"similar": "1"} if self.similar else {}
        numbered = {"page": str(page)} if page > 1 else {}
        return urlencode({name: value for name, value in (said | numbered).items() if value})


def page(archive: Archive, asked: Asked) -> Answer:
    """The list, or for htmx the part of it that changes. Raises InvalidQuery, OutOfResources."""
    if asked.parameter("StudyInstanceUIDs"):
        return ohif.home(archive, asked)  # as links to studies were before there was a list
    sought = _sought(asked)
    archive.auditing.out.asked(asked.actor, STUDY_ROOT_FIND, f"{_RESOURCE}?{sought.at(1)}".encode())
    found = _page(archive, sought, date.today())
    is_part = pages.wants_part(asked)
    answer = pages.render(
        archive,
        asked,
        "found.html" if is_part else "studies.html",
        sought=sought,
        studies=found[:PAGE],
        more=len(found) > PAGE,
        last_page=LAST_PAGE,
        modalities=asking.MODALITY_NAMES,
    )
    if not is_part:
        return answer
    # The address is that of what is shown, for who reloads, comes back or keeps it.
    there = f"{public_path(asked)}/?{sought.at(sought.page)}".removesuffix("?")
    return replace(answer, headers=(*answer.headers, ("HX-Replace-Url", there)))


def refused(archive: Archive, asked: Asked, error: ArchiveError) -> Answer:
    """As `pages.refused`; who may see no studies is led to what they may."""
    if isinstance(error, NotAuthorized):
        elsewhere = navigation.entries_for(pages.whoever(archive, asked))
        if elsewhere and not pages.wants_part(asked) and pages.is_browser(asked):
            there = f"{public_path(asked)}{elsewhere[0].path}"
            return text(303, "this is for others", ("Location", there), ("Cache-Control", "no-store"))
    return pages.refused(archive, asked, error)


def study_of(match: Match) -> Study:
    """A line of what was found."""
    return Study(
        uid=words.text(match, "0020000D"),
        patient_name=words.name(match, "00100010"),
        patient_id=words.text(match, "00100020"),
        birth_date=words.day(words.text(match, "00100030")),
        sex=words.text(match, "00100040"),
        day=words.day(words.text(match, "00080020")),
        time=words.time(words.text(match, "00080030")),
        description=words.text(match, "00081030"),
        modalities=tuple(map(str, words.values(match, "00080061"))),
        series=words.count(match, "00201206"),
        instances=words.count(match, "00201208"),
        accession_number=words.text(match, "00080050"),
    )


def _page(archive: Archive, sought: Sought, today: date) -> list[Study]:
    """Those of this page, and one more if there is one."""
    questions = asking.questions(sought.text, sought.filters, today, similar=sought.similar)
    fuzzy = sought.similar or not sought.text.isascii()
    queries = [Query(Level.STUDY, keys, INCLUDED, fuzzy=fuzzy) for keys in questions]
    found = archive.search.newest(queries, PAGE + 1, (sought.page - 1) * PAGE)
    return [study_of(match) for match in found]


def _sought(asked: Asked) -> Sought:
    said: Mapping[str, Any] = {name: (asked.parameter(name) or "").strip() for name in ("q", "from", "to")}
    modality = (asked.parameter("modality") or "").strip()
    number = asked.parameter("page") or "1"
    if not number.isdecimal() or not 1 <= int(number) <= LAST_PAGE:
        raise InvalidQuery(f"page is a number from 1 to {LAST_PAGE}")
    return Sought(
        said["q"][: asking.LONGEST],
        said["from"] if asking.day(said["from"]) else "",
        said["to"] if asking.day(said["to"]) else "",
        modality if modality in asking.MODALITY_NAMES else "",
        asked.parameter("similar") == "1",
        int(number),
    )
