"""The same question by C-FIND and by QIDO-RS gives the same answers, in the same order.

Questions are made of keys of every kind (PS3.4 C.2.2.2), options of extended negotiation and attributes to return; each
is spelt once as an Identifier and once as a query string. Both doors stand before one archive; whatever one of them
refuses, the other has to refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence, config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from archive.dicom.attribute_ids import keyword
from archive.dicom.attribute_levels import vr_of
from archive.dicom.errors import ArchiveError
from archive.dicom.instance import Level
from archive.dicom.matching.asking import Manner, takes_several
from archive.dicom.query import Path
from archive.web import qido
from archive.web.http.exchange import Asked
from door import AE_TITLE, Door, keep, open_door
from objects import mr, secondary_capture

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
LEVELS = {"STUDY": "studies", "SERIES": "series", "IMAGE": "instances"}
UNIQUE = {"STUDY": 0x0020000D, "SERIES": 0x0020000E, "IMAGE": 0x00080018}
ABOVE_OR_AT = {"STUDY": ["STUDY"], "SERIES": ["STUDY", "SERIES"], "IMAGE": ["STUDY", "SERIES", "IMAGE"]}
OPTIONS = ("fuzzy", "empty", "multiple")
_OPTION_BYTES = {"fuzzy": 2, "empty": 5, "multiple": 6}
CREATOR, PRIVATE = (0x00230010,), (0x00231001,)
TOGETHER: list[list[Path]] = [
    [(0x00080020,), (0x00080030,)],
    [CREATOR, PRIVATE],
    [(0x00400275, 0x00400009), (0x00400275, 0x00401001)],
]
"""Keys of which one says something of the other."""


def uid(*numbers: int) -> str:
    return ".".join(map(str, ("1.2.826", *numbers)))


NAMES = [
    "Müller^Zoë",
    "Mueller^Zoe",
    "MULLER^ZOE",
    "山田^太郎",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "Doe^J",
    "",
]
PATTERNS = ["M*", "m?ller^*", "*山田*", "=山田*", "Yamada*", "*", "Do?^J", "Mueler^Zoe", "Tarou", "Doe^J^*"]
DATES = ["20240110", "20240220", "20240330", ""]
TIMES = ["0830", "143000", "235959.5", ""]
TEXTS = ["A-1", "a-1", "100%", "100_", "A", "B", "[x]", ""]


def _item(**keywords: Any) -> Dataset:
    item = Dataset()
    for name, value in keywords.items():
        setattr(item, name, value)
    return item


def _object(number: int) -> Dataset:
    """One of 24 instances in 12 studies; all attributes follow from its number."""
    study, series = number // 2, number % 2
    made = (mr if number % 3 else secondary_capture)(
        Rows=8, Columns=8, PixelData=bytes(128 if number % 3 else 64),
        SpecificCharacterSet="ISO_IR 192",
        PatientID=f"P{study % 5}", PatientName=NAMES[study % len(NAMES)],
        StudyInstanceUID=uid(study), SeriesInstanceUID=uid(study, series), SOPInstanceUID=uid(study, series, 1),
        StudyDate=DATES[study % 4], StudyTime=TIMES[study % 3], AccessionNumber=TEXTS[study % 8],
        StudyID=TEXTS[(study + 3) % 8], StudyDescription=TEXTS[(study + 5) % 8],
        TimezoneOffsetFromUTC=["+0100", "-0500", None][study % 3],
        SeriesNumber=series + 1, InstanceNumber=number, SeriesDescription=TEXTS[number % 8],
        OtherPatientIDs=[None, "A", ["A", "B"]][study % 3], PatientWeight=["70", "70.0", None][study % 3],
        ImageType=[["ORIGINAL", "PRIMARY"], ["DERIVED", "SECONDARY", "A"]][number % 2],
        InstitutionAddress=TEXTS[number % 8], AcquisitionDateTime="20240110083000.5+0100" if series else None,
    )  # fmt: skip
    request = _item(ScheduledProcedureStepID=TEXTS[number % 8], RequestedProcedureID=TEXTS[(number + 1) % 8])
    request.ScheduledProtocolCodeSequence = Sequence([_item(CodeValue=TEXTS[number % 3], CodeMeaning="x")])
    made.RequestAttributesSequence = Sequence([request, _item(ScheduledProcedureStepID="other")])
    made.add_new(0x00230010 + number % 2, "LO", "ACME LTD")
    made.add_new(0x00231001 + 0x100 * (number % 2), "LO", TEXTS[number % 4])
    return made


@dataclass
class Asker:
    """Both doors of one archive. An association for each set of options, opened when first needed."""

    door: Door
    open: dict[tuple[bool, tuple[str, ...]], Any]

    def association(self, implicit: bool, options: tuple[str, ...]) -> Any:
        if (implicit, options) not in self.open:
            ae = AE("WORKSTATION")
            ae.network_timeout, ae.dimse_timeout = None, 300  # it may be minutes until it is used again
            ae.add_requested_context(
                STUDY_ROOT, ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            )
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid = STUDY_ROOT
            asked = bytearray((1, 1, 0, 1, 0, 0, 0))  # QIDO-RS always has dates with their times
            for option in options:
                asked[_OPTION_BYTES[option]] = 1
            item.service_class_application_information = bytes(asked)
            made = ae.associate("127.0.0.1", self.door.port, ae_title=AE_TITLE, ext_neg=[item])
            assert made.is_established
            assert bytes(asked) in made.acceptor.sop_class_extended.values()
            self.open[implicit, options] = made
        return self.open[implicit, options]


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """24 instances, and a workstation."""
    with open_door(tmp_path_factory.mktemp("same") / "data", dimse__idle_deadline=3600) as door:
        for number in range(24):
            keep(door, _object(number))
        made = Asker(door, {})
        yield made
        for association in made.open.values():
            association.release()


@dataclass(frozen=True)
class Question:
    """What is asked, in no door's spelling."""

    level: str
    keys: dict[Path, tuple[str, ...]]
    included: tuple[Path, ...]
    options: tuple[str, ...]
    timezone: str


def texts(*further: str) -> st.SearchStrategy[tuple[str, ...]]:
    one = st.sampled_from([*TEXTS, "A*", "*", "?-1", "100?", '""', "[x*", *further])
    return st.one_of(one.map(lambda text: (text,)), st.tuples(one, one))


def moments(values: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    one = st.sampled_from(values)
    ranges = st.tuples(one, one).map("-".join)
    return st.one_of(one, ranges, st.sampled_from(['""', "2024", "*", "-"])).map(lambda text: (text,))


STUDY_KEYS: dict[Path, st.SearchStrategy[tuple[str, ...]]] = {
    (0x00100010,): st.sampled_from(NAMES + PATTERNS).map(lambda name: (name,)),
    (0x00100020,): texts("P1", "P*"),
    (0x00080020,): moments(DATES),
    (0x00080030,): moments(["08", "0830", "1430", "2359", ""]),
    (0x00080050,): texts(),
    (0x00081030,): texts(),
    (0x00080061,): st.sampled_from([("MR",), ("OT", "MR"), ("M*",), ("",), ("XX",)]),
    (0x0020000D,): st.sampled_from([(uid(1),), (uid(1), uid(4), uid(99)), ("*",), ("",), ("1.2.*",)]),
    (0x00101000,): texts("B"),
    (0x00101030,): st.sampled_from([("70",), ("+70.00",), ("",)]),
    (0x00201208,): st.sampled_from([("",), ("2",)]),
    (0x00080056,): st.sampled_from([("",), ("ONLINE",)]),
    CREATOR: st.just(("ACME LTD",)),
    PRIVATE: st.sampled_from([("A-1",), ("?-1",), ("100*",), ("",), ('""',)]),
}
SERIES_KEYS: dict[Path, st.SearchStrategy[tuple[str, ...]]] = {
    (0x00080060,): st.sampled_from([("MR",), ("OT", "MR"), ("?T",), ("",)]),
    (0x00200011,): st.sampled_from([("1",), ("02",), ("",)]),
    (0x0008103E,): texts(),
    (0x00080081,): texts(),
    (0x00400275, 0x00400009): texts("other"),
    (0x00400275, 0x00401001): texts(),
    (0x00400275, 0x00400008, 0x00080100): texts(),
}
IMAGE_KEYS: dict[Path, st.SearchStrategy[tuple[str, ...]]] = {
    (0x00200013,): st.sampled_from([("3",), ("+3",), ("",)]),
    (0x00080008,): st.sampled_from([("ORIGINAL",), ("PRIMARY", "ORIGINAL"), ("A",), ("D*",)]),
    (0x0008002A,): moments(["20240110", "202401100730+0000", "2023", ""]),
    (0x00280010,): st.sampled_from([("8",), ("",)]),
}
KEYS = {"STUDY": STUDY_KEYS, "SERIES": SERIES_KEYS, "IMAGE": IMAGE_KEYS}


def _as_list(manner: Manner, path: Path, values: tuple[str, ...]) -> tuple[str, ...]:
    """As many values as both spellings have for this attribute: elsewhere a comma is a comma."""
    return values if takes_several(manner, path[-1]) or vr_of(path[-1]) in ("UI", "CS") else values[:1]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    level = draw(st.sampled_from(sorted(LEVELS)))
    pool = {path: values for at in ABOVE_OR_AT[level] for path, values in KEYS[at].items()}
    alone = st.lists(st.sampled_from(sorted(pool)), max_size=4, unique=True)
    pairs = [pair for pair in TOGETHER if set(pair) <= set(pool)]
    chosen = draw(st.one_of(alone, alone, st.sampled_from(pairs)))
    if PRIVATE in chosen and CREATOR not in chosen:
        chosen = [*chosen, CREATOR]
    options = draw(st.sets(st.sampled_from(OPTIONS)))
    manner = Manner(Level[level], multiple="multiple" in options)
    keys = {path: _as_list(manner, path, draw(pool[path])) for path in chosen}
    rest = [
        path for path in sorted(pool) if path[0] not in {one[0] for one in keys} and path[0] != 0x00080056
    ]
    included = draw(st.lists(st.sampled_from(rest), max_size=3, unique=True))
    timezone = draw(st.sampled_from(["", "", "+0100", "-0930"]))
    return Question(level, keys, tuple(included), tuple(sorted(options)), timezone)


# --- as an Identifier ---


def _put(data_set: Dataset, path: Path, values: tuple[str, ...]) -> None:
    for tag in path[:-1]:
        if tag not in data_set:
            data_set.add_new(tag, "SQ", Sequence([Dataset()]))
        data_set = data_set[tag].value[0]
    vr = "LO" if path[-1] >> 16 & 1 else dictionary_VR(path[-1]).split(" ")[0]
    value: Any = list(values) if len(values) > 1 else values[0]
    if vr == "US":
        value = int(value) if value else None
    data_set.add(DataElement(path[-1], vr, value, validation_mode=config.IGNORE))


def identifier(asked: Question) -> Dataset:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.QueryRetrieveLevel = asked.level
    for level in ABOVE_OR_AT[asked.level]:
        _put(made, (UNIQUE[level],), ("",))
    for path in asked.included:
        _put(made, path, ("",))
    for path, values in asked.keys.items():
        _put(made, path, values)
    if asked.timezone:
        made.TimezoneOffsetFromUTC = asked.timezone
    return made


def by_c_find(asker: Asker, asked: Question, *, implicit: bool) -> list[dict[str, Any]] | int:
    """The answers as DICOM JSON, or the failure status."""
    association = asker.association(implicit, asked.options)
    *pending, (final, _) = association.send_c_find(identifier(asked), STUDY_ROOT)
    if final.Status:
        assert not pending
        return int(final.Status)
    return [answer.to_json_dict() for _, answer in pending]


# --- as a query string ---


def query_string(asked: Question) -> str:
    parameters = [
        (".".join(f"{tag:08X}" for tag in path), ",".join(values)) for path, values in asked.keys.items()
    ]
    parameters += [("includefield", ".".join(f"{tag:08X}" for tag in path)) for path in asked.included]
    parameters += [(f"{option}valuematching", "true") for option in asked.options if option != "fuzzy"]
    parameters += [("fuzzymatching", "true")] if "fuzzy" in asked.options else []
    parameters += [("TimezoneOffsetFromUTC", asked.timezone)] if asked.timezone else []
    return urlencode(parameters)


def by_qido(asker: Asker, asked: Question) -> list[dict[str, Any]] | ArchiveError:
    """The answers, or why there are none."""
    handler = {"STUDY": qido.studies, "SERIES": qido.series, "IMAGE": qido.instances}[asked.level]
    headers = {"accept": "application/dicom+json"}
    request = Asked({}, query_string(asked), headers, "http://localhost/dicom-web")
    try:
        answer = handler(asker.door.archive, request)
    except ArchiveError as error:
        return error
    found: list[dict[str, Any]] = [] if answer.status == 204 else orjson.loads(b"".join(answer.body))
    return found


def comparable(element: Any) -> Any:
    """Values without the difference between an attribute that is empty and one that is not there."""
    if not element or not element.get("Value"):
        return None
    if element["vr"] == "SQ":
        return [{tag: comparable(one) for tag, one in item.items()} for item in element["Value"]]
    return [
        float(one) if element["vr"] in ("IS", "DS") and one is not None else one for one in element["Value"]
    ]


@settings(max_examples=200)
@given(asked=questions(), implicit=st.booleans())
def test_both_doors_give_the_same_answers(asker: Asker, asked: Question, implicit: bool) -> None:
    """Which match, in which order, and what is said of them (issue 4: C-FIND and QIDO with the same question)."""
    note(f"{asked} {query_string(asked)}")
    found, expected = by_c_find(asker, asked, implicit=implicit), by_qido(asker, asked)
    if isinstance(expected, ArchiveError):
        assert found == 0xA900, expected
        return
    assert not isinstance(found, int), hex(found)
    unique = f"{UNIQUE[asked.level]:08X}"
    assert [one[unique]["Value"] for one in found] == [one[unique]["Value"] for one in expected]
    for path in {path for path in (*asked.keys, *asked.included) if len(path) == 1}:
        if implicit and path[0] >> 16 & 1:
            continue  # pydicom cannot tell the VR of a private attribute
        tag = f"{path[0]:08X}"
        said = [
            (comparable(one.get(tag)), comparable(two.get(tag)))
            for one, two in zip(found, expected, strict=True)
        ]
        assert all(one == two for one, two in said), (keyword(path[0]), said)
