"""C-FIND: matching, what comes back, in which characters, and how it ends (PS3.4 C.2.2.2, C.4.1)."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from conformance import dimse, uids
from conformance.collection import GREEK, JAPANESE
from conformance.dimse_exchange import Answers, find, identifier, peer_of
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World

CLAUSE = "PS3.4 C.2.2.2"
A900 = 0xA900


def _studies(w: World, name: str, **keys: Any) -> list[Dataset]:
    """What a study root C-FIND at STUDY level matches of the patient of an object. The end must be Success."""
    ds = w[name].dataset
    asked = {"PatientID": str(ds.PatientID), "StudyInstanceUID": "", **keys}
    return find(peer_of(w), identifier("STUDY", **asked)).must(dimse.SUCCESS).matches


def _uids(items: list[Dataset], keyword: str = "StudyInstanceUID") -> list[str]:
    return sorted(str(item.get(keyword, "")) for item in items)


def _expect_studies(w: World, found: list[Dataset], *names: str) -> None:
    wanted = sorted(str(w[name].dataset.StudyInstanceUID) for name in names)
    expect(_uids(found) == wanted, f"{len(found)} studies came, not {' and '.join(names) or 'none'}")


@check("DIM.25", "the patient root at PATIENT level", "PS3.4 C.6.1.1", Level.OPTIONAL, ["ct1"])
def patient_level(w: World) -> None:
    keys = identifier("PATIENT", PatientID=str(w["ct1"].dataset.PatientID), PatientName="")
    found = find(peer_of(w), keys, uids.PATIENT_ROOT_FIND).must(dimse.SUCCESS).matches
    expect(len(found) == 1, f"{len(found)} patients, not one for the patient of a study of four instances")


@check(
    "DIM.26",
    "SERIES level: one answer for each series",
    "PS3.4 C.4.1.1, C.6.2.1",
    needs=["ct1", "ct2", "mr1"],
)
def series_level(w: World) -> None:
    keys = identifier("SERIES", StudyInstanceUID=str(w["ct1"].dataset.StudyInstanceUID), SeriesInstanceUID="")
    found = find(peer_of(w), keys).must(dimse.SUCCESS).matches
    wanted = sorted({str(w[name].dataset.SeriesInstanceUID) for name in ("ct1", "mr1")})
    expect(_uids(found, "SeriesInstanceUID") == wanted, f"{len(found)} series came, not {len(wanted)}")


@check(
    "DIM.27",
    "IMAGE level: one answer for each instance",
    "PS3.4 C.4.1.1, C.6.2.1",
    needs=["ct1", "ct2", "ct3"],
)
def image_level(w: World) -> None:
    ds = w["ct1"].dataset
    above = {"StudyInstanceUID": str(ds.StudyInstanceUID), "SeriesInstanceUID": str(ds.SeriesInstanceUID)}
    found = find(peer_of(w), identifier("IMAGE", **above, SOPInstanceUID="")).must(dimse.SUCCESS).matches
    expect(
        _uids(found, "SOPInstanceUID") == sorted(w[name].uid for name in ("ct1", "ct2", "ct3")),
        f"{len(found)} instances came",
    )


@check("DIM.28", "nothing matches: Success without an answer", "PS3.4 C.4.1.1.4", needs=["ct1"])
def nothing(w: World) -> None:
    _expect_studies(w, _studies(w, "ct1", AccessionNumber="NOSUCHNUMBER"))


@check("DIM.29", "a wildcard in a name", CLAUSE + ".4", needs=["ct1"])
def wildcard(w: World) -> None:
    _expect_studies(w, _studies(w, "ct1", PatientName="Kestr?l^An*"), "ct1")


@check("DIM.30", "a wildcard that does not match", CLAUSE + ".4", needs=["ct1"])
def wildcard_miss(w: World) -> None:
    _expect_studies(w, _studies(w, "ct1", PatientName="Kestr?^An*"))


@check(
    "DIM.31", "a name without regard to case, if at all, consistently", CLAUSE + ".1", Level.OPTIONAL, ["ct1"]
)
def name_in_capitals(w: World) -> None:
    _expect_studies(w, _studies(w, "ct1", PatientName="KESTREL^*"), "ct1")


@check("DIM.32", "a range of dates", CLAUSE + ".5", needs=["t1", "t2", "t3"])
def date_range(w: World) -> None:
    _expect_studies(w, _studies(w, "t1", StudyDate="20230705-20230706"), "t2", "t3")


@check("DIM.33", "an open range of dates", CLAUSE + ".5", needs=["t1", "t2", "t3"])
def open_range(w: World) -> None:
    _expect_studies(w, _studies(w, "t1", StudyDate="-20230704"), "t1")


@check("DIM.34", "a range of times", CLAUSE + ".5", needs=["t1", "t2", "t3"])
def time_range(w: World) -> None:
    """Two keys are two conditions without negotiation (C.2.2.2.5.3): any of these days, at that time."""
    _expect_studies(w, _studies(w, "t1", StudyDate="20230704-20230706", StudyTime="0700-1200"), "t1", "t3")


@check("DIM.35", "a list of UIDs", CLAUSE + ".2", needs=["t1", "t2", "t3"])
def uid_list(w: World) -> None:
    several = [str(w[name].dataset.StudyInstanceUID) for name in ("t1", "t3")]
    _expect_studies(w, _studies(w, "t1", StudyInstanceUID=several), "t1", "t3")


@check("DIM.36", "a key in a sequence", CLAUSE + ".6", Level.OPTIONAL, ["ct1", "mr1"])
def in_a_sequence(w: World) -> None:
    item = Dataset()
    item.ScheduledProcedureStepID = "SPS-2"
    keys = identifier(
        "SERIES",
        StudyInstanceUID=str(w["ct1"].dataset.StudyInstanceUID),
        SeriesInstanceUID="",
        RequestAttributesSequence=[item],
    )
    found = find(peer_of(w), keys).must(dimse.SUCCESS).matches
    wanted = [str(w["ct1"].dataset.SeriesInstanceUID)]
    expect(
        _uids(found, "SeriesInstanceUID") == wanted, f"{len(found)} series came, not the one with the request"
    )


@check("DIM.37", "every key that was asked for comes back", "PS3.4 C.2.2.1.3, C.4.1.1.3.2", needs=["ct1"])
def return_keys(w: World) -> None:
    """Keys that the server does not support are absent, or empty; those of the level are required."""
    names = ("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "PatientName")
    (item,) = _only(_studies(w, "ct1", **dict.fromkeys(names, "")))
    missing = [name for name in names if name not in item]
    expect(not missing, f"{', '.join(missing)} did not come")
    expect(str(item.StudyID) == str(w["ct1"].dataset.StudyID), f"StudyID {item.StudyID}")


def _only(items: list[Dataset]) -> list[Dataset]:
    expect(len(items) == 1, f"{len(items)} answers, not one")
    return items


@check("DIM.38", "an answer says its level and where to retrieve", "PS3.4 C.4.1.1.3.2", needs=["ct1"])
def who_has_it(w: World) -> None:
    (item,) = _only(_studies(w, "ct1"))
    expect(str(item.get("QueryRetrieveLevel", "")).strip() == "STUDY", "Query/Retrieve Level is not STUDY")
    where = [name for name in ("RetrieveAETitle", "StorageMediaFileSetID") if item.get(name)]
    expect(where, "neither Retrieve AE Title nor Storage Media File-Set ID came")


@check(
    "DIM.39", "an attribute that is not among the required keys", "PS3.4 C.2.2.1.3", Level.OPTIONAL, ["ct1"]
)
def any_attribute(w: World) -> None:
    ds = w["ct1"].dataset
    keys = identifier(
        "IMAGE",
        StudyInstanceUID=str(ds.StudyInstanceUID),
        SeriesInstanceUID=str(ds.SeriesInstanceUID),
        SOPInstanceUID=w["ct1"].uid,
        Rows=None,
        PhotometricInterpretation="",
    )
    (item,) = _only(find(peer_of(w), keys).must(dimse.SUCCESS).matches)
    if "Rows" not in item and "PhotometricInterpretation" not in item:
        raise Skipped("optional keys are not supported")
    expect(item.get("Rows") == ds.Rows, f"Rows {item.get('Rows')}")


def _in_characters(number: int, name: str, character_set: list[str] | str, term: str, wanted: str) -> None:
    @check(
        f"DIM.{number}",
        f"a name in {term} when that was asked",
        "PS3.4 C.4.1.1.3, PS3.3 C.12.1.1.2",
        Level.OPTIONAL,
        [name],
    )
    def run(w: World) -> None:
        """The answer may be in another set that it declares, Unicode or the stored one; the name must be whole."""
        (item,) = _only(_studies(w, name, PatientName="", SpecificCharacterSet=character_set))
        given = str(item.PatientName)
        expect(given == wanted, f"{given!r} came in {item.get('SpecificCharacterSet')}, {wanted} was stored")


_in_characters(40, "gr", "ISO_IR 126", "ISO_IR 126 (Greek)", GREEK)
_in_characters(41, "jp", ["", "ISO 2022 IR 87"], "ISO 2022 IR 87 (Japanese)", JAPANESE)
_in_characters(42, "gr", "GB18030", "GB18030", GREEK)


@check("DIM.43", "a name is found in the script that it is written in", CLAUSE + ".1", Level.OPTIONAL, ["jp"])
def found_in_kanji(w: World) -> None:
    _expect_studies(w, _studies(w, "jp", PatientName="*山田*"), "jp")


@check("DIM.44", "without a level: A900", "PS3.4 C.4.1.1.3.1, Table C.4-1", needs=["ct1"])
def no_level(w: World) -> None:
    keys = identifier("STUDY", PatientID=str(w["ct1"].dataset.PatientID))
    del keys.QueryRetrieveLevel
    _expect_failure(find(peer_of(w), keys))


@check("DIM.45", "a level that is none: A900", "PS3.4 Table C.4-1", needs=["ct1"])
def strange_level(w: World) -> None:
    _expect_failure(find(peer_of(w), identifier("FOLDER", PatientID=str(w["ct1"].dataset.PatientID))))


def _expect_failure(answers: Answers) -> None:
    status = answers.status
    expect(status == A900 or status >> 12 == 0xC, f"C-FIND ends with {status:04X}, not A900 or Cxxx")
    expect(not answers.matches, f"{len(answers.matches)} answers came before")


@check(
    "DIM.46",
    "C-CANCEL is heeded, or the query is over",
    "PS3.4 C.4.1.3.2, PS3.7 9.3.2.3",
    needs=["page1", "page7"],
)
def cancelled(w: World) -> None:
    """Seven answers may all be under way when it arrives, so Success is as good as FE00."""
    study = str(w["page1"].dataset.StudyInstanceUID)
    answers = find(peer_of(w), identifier("IMAGE", StudyInstanceUID=study, SOPInstanceUID=""), cancel_after=1)
    answers.must(0xFE00, dimse.SUCCESS)
    expect(1 <= len(answers.matches) <= 7, f"{len(answers.matches)} answers came")
