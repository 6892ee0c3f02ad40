"""Resources, keys and what comes back: Q1 to Q5 and Q8 (PS3.18 10.6.1 and 10.6.3)."""

from __future__ import annotations

from typing import Any

from conformance import objects, uids
from conformance.client import DICOM, JSON, Found
from conformance.native_model import first, text
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World, query, uids_of

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
CT_STUDY = ("ct1", "ct2", "ct3", "mr1")
RETRIEVE_URL = "00081190"

Results = Found[dict[str, Any]]


def _resource(w: World, kind: str, name: str = "ct1", **keys: str) -> Results:
    ct = w[name]
    uid = str(ct.dataset.StudyInstanceUID)
    return {
        "studies": lambda: w.search("/studies", StudyInstanceUID=uid, **keys),
        "study's series": lambda: w.search(ct.study + "/series", **keys),
        "study's instances": lambda: w.search(ct.study + "/instances", **keys),
        "series": lambda: w.search("/series", StudyInstanceUID=uid, **keys),
        "series' instances": lambda: w.search(ct.series + "/instances", **keys),
        "instances": lambda: w.search("/instances", StudyInstanceUID=uid, **keys),
    }[kind]()


EXPECTED = {
    "studies": (STUDY, 1),
    "study's series": (SERIES, 2),
    "study's instances": (INSTANCE, 4),
    "series": (SERIES, 2),
    "series' instances": (INSTANCE, 3),
    "instances": (INSTANCE, 4),
}


def _resource_check(number: int, kind: str, tag: str, count: int) -> None:
    @check(f"Q1.{number}", f"search of {kind}", "Table 10.6.1-1", needs=CT_STUDY)
    def run(w: World) -> None:
        found = uids_of(_resource(w, kind), tag)
        expect(len(set(found)) == len(found) == count, f"{len(found)} results, not {count}")


for _number, (_kind, (_tag, _count)) in enumerate(EXPECTED.items(), 1):
    _resource_check(_number, _kind, _tag, _count)


STUDY_KEYS = {
    "StudyDate": ("20240301", "20240228"),
    "StudyTime": ("090000", "101531"),
    "AccessionNumber": ("", "NONE"),
    "ModalitiesInStudy": ("OT", "US"),
    "ReferringPhysicianName": ("Heron", "Wren"),
    "PatientName": ("Plover", "Wren"),
    "PatientID": ("", "NONE"),
    "StudyID": ("SMF", "NONE"),
}
SERIES_KEYS = {
    "Modality": ("CT", "US"),
    "SeriesInstanceUID": ("", "1.2.3"),
    "SeriesNumber": ("11", "99"),
    "PerformedProcedureStepStartDate": ("20240228", "20240301"),
    "PerformedProcedureStepStartTime": ("081500", "081501"),
    "RequestAttributesSequence__ScheduledProcedureStepID": ("SPS-2", "SPS-9"),
    "RequestAttributesSequence__RequestedProcedureID": ("RP-1", "RP-9"),
}
INSTANCE_KEYS = {
    "SOPClassUID": (uids.CT, uids.MR),
    "SOPInstanceUID": ("", "1.2.3"),
    "InstanceNumber": ("1", "99"),
}


def _key(
    number: int, kind: str, keyword: str, right: str, wrong: str, expected: int, name: str = "ct1"
) -> None:
    shown = keyword.replace("__", ".")

    @check(f"Q2.{number}", f"{shown} as a key of {kind}", "Table 10.6.1-5", needs=(*CT_STUDY, name))
    def run(w: World) -> None:
        """Values without characters that need percent-encoding, which Q11 asks for."""
        value = right or str(w[name].dataset[keyword].value)
        found = _resource(w, kind, name, **{keyword: value})
        expect(len(found) == expected, f"{len(found)} results for {shown}={value}, not {expected}")
        found = _resource(w, kind, name, **{keyword: wrong})
        expect(not found, f"{len(found)} results for {shown}={wrong}, which nothing has")


for _number, (_keyword, (_right, _wrong)) in enumerate(STUDY_KEYS.items(), 1):
    _key(_number, "studies", _keyword, _right, _wrong, 1, "mf")
for _number, (_keyword, (_right, _wrong)) in enumerate(SERIES_KEYS.items(), 10):
    _key(_number, "study's series", _keyword, _right, _wrong, 1)
for _number, (_keyword, (_right, _wrong)) in enumerate(INSTANCE_KEYS.items(), 20):
    _key(_number, "series' instances", _keyword, _right, _wrong, 3 if _keyword == "SOPClassUID" else 1)
_key(27, "studies", "ModalitiesInStudy", "MR", "US", 1)
_key(24, "series", "Modality", "MR", "US", 1)
_key(25, "instances", "Modality", "MR", "US", 1)
_key(26, "study's instances", "SOPClassUID", uids.MR, uids.BASIC_TEXT_SR, 1)


@check("Q2.9", "StudyInstanceUID as a key of studies", "Table 10.6.1-5", needs=["ct1", "mf"])
def study_uid(w: World) -> None:
    wanted = str(w["mf"].dataset.StudyInstanceUID)
    found = uids_of(w.search("/studies", StudyInstanceUID=wanted), STUDY)
    expect(found == [wanted], f"{found} came")


@check("Q2.23", "patient keys on relational resources", "10.6.1.2.1, Table 10.6.1-4", needs=CT_STUDY)
def patient_key_below(w: World) -> None:
    patient = str(w["ct1"].dataset.PatientID)
    expect(
        len(w.search("/series", PatientID=patient)) == 2, "/series?PatientID= does not give the two series"
    )
    expect(len(w.search("/instances", PatientID=patient)) == 4, "/instances?PatientID= does not give four")


STUDY_RETURN = (
    "00080020 00080030 00080050 00080061 00080090 00100010 00100020 00100030 00100040 0020000D 00200010"
    " 00201206 00201208"
)
SERIES_RETURN = "00080060 0020000E 00200011 00201209 00081190"
INSTANCE_RETURN = "00080016 00080018 00200013 00081190"


def _lacking(item: dict[str, Any], tags: str) -> list[str]:
    return [tag for tag in tags.split() if tag not in item]


def _return_keys(number: int, kind: str, tags: str, clause: str) -> None:
    @check(f"Q3.{number}", f"required attributes in results of {kind}", clause, needs=CT_STUDY)
    def run(w: World) -> None:
        """10.6.3.3.3: all attributes of the table, if present in the instance. "If known": a server that
        holds the whole instance knows."""
        missing = _lacking(_resource(w, kind)[0], tags)
        expect(not missing, f"{' '.join(missing)} missing")


_return_keys(1, "studies", STUDY_RETURN, "Table 10.6.3-3")
_return_keys(2, "study's series", SERIES_RETURN, "Table 10.6.3-4")
_return_keys(3, "series' instances", INSTANCE_RETURN, "Table 10.6.3-5")
_return_keys(4, "series' instances", "00280010 00280011 00280100", "10.6.3.3.3, Table 10.6.3-5")
_return_keys(5, "studies", RETRIEVE_URL, "Table 10.6.3-3 (if retrievable)")


@check("Q3.6", "values of a study, counts among them", "Table 10.6.3-3", needs=CT_STUDY)
def study_values(w: World) -> None:
    item = _resource(w, "studies")[0]
    wanted = {
        "00201206": "2",
        "00201208": "4",
        "00100010": "Kestrel^Anna^Maria^Dr^PhD",
        "00080020": "20240229",
    }
    wanted |= {"00100040": "F", "00200010": objects.AWKWARD_STUDY_ID}
    wrong = {tag: text(item, tag) for tag, value in wanted.items() if text(item, tag) != value}
    expect(not wrong, f"{wrong} came")
    expect(sorted(item["00080061"]["Value"]) == ["CT", "MR"], f"ModalitiesInStudy {item['00080061']}")


@check("Q3.7", "values of a series, counts among them", "Table 10.6.3-4", needs=CT_STUDY)
def series_values(w: World) -> None:
    item = _resource(w, "study's series", Modality="CT")[0]
    wanted = {"00201209": "3", "00200011": "11", "0008103E": "Suite axial", "00400244": "20240228"}
    wrong = {tag: text(item, tag) for tag, value in wanted.items() if text(item, tag) != value}
    expect(not wrong, f"{wrong} came")


@check("Q3.8", "Request Attributes Sequence of a series", "Table 10.6.3-4 (if known)", needs=CT_STUDY)
def request_attributes(w: World) -> None:
    items = _resource(w, "study's series", Modality="CT")[0].get("00400275", {}).get("Value", [])
    found = sorted((text(item, "00400009"), text(item, "00401001")) for item in items)
    expect(found == [("SPS-1", "RP-1"), ("SPS-2", "RP-2")], f"{found} came")


@check("Q3.9", "Retrieve URL of each level works", "Tables 10.6.3-3 to -5", needs=CT_STUDY)
def retrieve_url(w: World) -> None:
    for kind, count in (("studies", 4), ("study's series", 0), ("series' instances", 1)):
        url = text(_resource(w, kind)[0], RETRIEVE_URL)
        expect(url.startswith(("http://", "https://")), f"Retrieve URL of {kind} is {url!r}")
        got = len(w.get(url, DICOM).must(200).parts())
        expect(
            got == count or (not count and got in (1, 3)), f"{got} instances behind Retrieve URL of {kind}"
        )


@check("Q3.10", "Available Transfer Syntax UID", "10.6.3.3.3 (optional)", Level.OPTIONAL, ["rle"])
def available_transfer_syntax(w: World) -> None:
    path = w["rle"].series + "/instances"
    found = w.search(path, SOPInstanceUID=w["rle"].uid, includefield="AvailableTransferSyntaxUID")
    values = found[0].get("00083002", {}).get("Value")
    if not values:
        raise Skipped("the server does not give AvailableTransferSyntaxUID")
    for syntax in values:
        w.get(w["rle"].instance, f"{DICOM}; transfer-syntax={syntax}").must(200)


@check("Q3.11", "Number of Frames of a multi-frame instance", "10.6.3.3.3, Table 10.6.3-5", needs=["mf"])
def number_of_frames(w: World) -> None:
    item = w.search(w["mf"].series + "/instances")[0]
    expect(text(item, "00280008") == "3", f"NumberOfFrames {item.get('00280008')}")


@check("Q3.12", "Timezone Offset From UTC where it is known", "Tables 10.6.3-3 to -5", needs=["zone"])
def timezone_returned(w: World) -> None:
    item = w.search(w["zone"].series + "/instances")[0]
    expect(text(item, "00080201") == "+0900", f"TimezoneOffsetFromUTC {item.get('00080201')}")


@check("Q3.13", "names of three groups in results", "F.2.2", needs=["jp"])
def names_in_results(w: World) -> None:
    item = w.search("/studies", PatientID=str(w["jp"].dataset.PatientID))[0]
    wanted = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    expect(first(item, "00100010") == wanted, f"{first(item, '00100010')} came")


@check(
    "Q3.14", "an empty attribute has no Value; a code without value is never null", "F.2.5", needs=["empty"]
)
def empty_attribute(w: World) -> None:
    item = w.search("/studies", StudyInstanceUID=str(w["empty"].dataset.StudyInstanceUID))[0]
    attribute = item.get("00080050", {"vr": "SH"})
    expect(not set(attribute) & {"Value", "InlineBinary", "BulkDataURI"}, f"AccessionNumber {attribute}")
    expect(item.get("00080061", {"Value": [""]}).get("Value"), "ModalitiesInStudy came without Value")


@check("Q4.1", "series of all studies carry study attributes", "10.6.3.3.2", needs=CT_STUDY)
def all_series_parents(w: World) -> None:
    """10.6.3.3.2: if the target is All Series, all study level attributes of 10.6.3.3.1 are included."""
    missing = _lacking(_resource(w, "series")[0], STUDY_RETURN)
    expect(not missing, f"{' '.join(missing)} missing")


@check("Q4.2", "instances of all studies carry study and series attributes", "10.6.3.3.3", needs=CT_STUDY)
def all_instances_parents(w: World) -> None:
    """10.6.3.3.3 asks for both levels when the target is All Instances."""
    missing = _lacking(_resource(w, "instances")[0], f"{STUDY_RETURN} {SERIES_RETURN}")
    expect(not missing, f"{' '.join(missing)} missing")


@check("Q4.3", "instances of a study carry series attributes", "10.6.3.3.3", needs=CT_STUDY)
def study_instances_parents(w: World) -> None:
    """10.6.3.3.3 asks for all series level attributes of 10.6.3.3.2, the count among them."""
    missing = _lacking(_resource(w, "study's instances")[0], SERIES_RETURN)
    expect(not missing, f"{' '.join(missing)} missing")


@check(
    "Q4.4", "includefield of a lower level: ignored, not refused", "10.6.3.3.1, 10.6.3.3.2", needs=CT_STUDY
)
def lower_level(w: World) -> None:
    """Both clauses end in: attributes of a lower level in includefield shall not be returned."""
    for kind, keyword, tag in (
        ("studies", "SeriesNumber", "00200011"),
        ("study's series", "SOPInstanceUID", INSTANCE),
    ):
        item = _resource(w, kind, includefield=keyword)[0]
        expect(tag not in item, f"{keyword} came with {kind}")


@check("Q4.5", "the query string of a viewer in wide use", "10.6.3.3.1", Level.EXTENSION, CT_STUDY)
def viewer_query(w: World) -> None:
    fields = "00081030,00080060,00080090,00100030"
    path = f"/studies?limit=101&offset=0&fuzzymatching=false&includefield={fields.replace(',', '%2C')}"
    found = w.get(f"{path}&StudyInstanceUID={w['ct1'].dataset.StudyInstanceUID}", JSON).must(200).items()
    expect(len(found) == 1 and "00080060" not in found[0], "not the study alone, or with a series' Modality")


def matches_in_sequences(w: World) -> None:
    """Raises `Skipped` when keys inside sequences are not matched at all."""
    key = "RequestAttributesSequence__ScheduledProcedureStepID"
    if len(w.once("sequences", lambda: _resource(w, "study's series", **{key: "SPS-1"}))) != 1:
        raise Skipped("keys inside sequences are not matched, which Q2.15 says already")


def _spelling(number: int, title: str, kind: str, key: str, value: str, other: str = "NONE") -> None:
    @check(f"Q5.{number}", f"a key written {title}", "8.3.1, 8.3.4.1", needs=CT_STUDY)
    def run(w: World) -> None:
        if "__" in key:
            matches_in_sequences(w)
        expect(len(_resource(w, kind, **{key: value})) == 1, f"{key}={value} does not give one result")
        expect(not _resource(w, kind, **{key: other}), f"{key}={other} gives results")


_spelling(1, "as eight hexadecimal digits", "studies", "00080020", "20240229", "20240301")
_spelling(2, "as a path of tags", "study's series", "00400275__00400009", "SPS-1")
_spelling(3, "as a path of keyword and tag", "study's series", "RequestAttributesSequence__00401001", "RP-2")


@check("Q5.4", "hexadecimal digits in lower case", "8.3.1 (8HEXDIG), RFC 5234", needs=CT_STUDY)
def lower_case_tag(w: World) -> None:
    found = _resource(w, "study's series", **{"0020000e": str(w["mr1"].dataset.SeriesInstanceUID)})
    expect(len(found) == 1, f"{len(found)} results")


@check(
    "Q5.5", "a private attribute as a key, with its creator", "8.3.4.1, 10.6.1.2.1", Level.OPTIONAL, CT_STUDY
)
def private_key(w: World) -> None:
    path = query(
        w["ct1"].series + "/instances", **{"00290010": objects.CREATOR, "00291001": "private value 2"}
    )
    found = w.offered(w.get(path, JSON), "matching of private attributes", (400,)).must(200, 204).items()
    if len(found) == 3:
        raise Skipped("private keys are ignored")
    expect(uids_of(found, INSTANCE) == [w["ct2"].uid], f"{len(found)} results")


@check("Q5.6", "any stored attribute as a key", "8.3.4.1 (each server says which)", Level.OPTIONAL, CT_STUDY)
def optional_key(w: World) -> None:
    answer = w.get(query(w["ct1"].series + "/instances", SliceThickness="1", KVP="77"), JSON)
    found = w.offered(answer, "matching of KVP", (400,)).must(200, 204).items()
    if len(found) == 3:
        raise Skipped("the key KVP is ignored")
    expect(not found, f"{len(found)} results for a KVP that nothing has")


def _field(w: World, name: str, kind: str, tag: str, **more: str) -> Any:
    path = {"studies": query("/studies", StudyInstanceUID=str(w["ct1"].dataset.StudyInstanceUID), **more)}
    path["instances"] = query(w["ct1"].series + "/instances", SOPInstanceUID=w["ct1"].uid, **more)
    sign = "&includefield="
    return w.get(path[kind] + sign + name, JSON).must(200).items()[0].get(tag)


@check("Q8.1", "includefield once, repeated, and as a list", "8.3.4.3", needs=CT_STUDY)
def include_forms(w: World) -> None:
    """Which further attributes a server supports is its own choice; the forms must not differ in what they give."""
    forms = (
        "StudyDescription",
        "OtherPatientNames&includefield=StudyDescription",
        "00081060,StudyDescription",
    )
    found = [_field(w, form, "studies", "00081030") for form in forms]
    expect(found[0] == found[1] == found[2], f"StudyDescription came as {found}")


@check("Q8.2", "includefield gives a study's description", "10.6.3.3.1", Level.OPTIONAL, CT_STUDY)
def include_description(w: World) -> None:
    found = _field(w, "00081030", "studies", "00081030")
    expect(found == {"vr": "LO", "Value": ["Conformance suite"]}, f"{found} came")


@check("Q8.3", "includefield=all gives every optional key that is supported", "10.6.3.3.1", needs=CT_STUDY)
def include_all(w: World) -> None:
    """10.6.3.3.1: with all, every optional key of the level that is supported; what one form gives is supported."""
    alone = _field(w, "StudyDescription", "studies", "00081030")
    expect(
        _field(w, "all", "studies", "00081030") == alone, "all lacks what includefield=StudyDescription gives"
    )


@check("Q8.4", "includefield=all at instance level", "10.6.3.3.3", needs=CT_STUDY)
def include_all_instances(w: World) -> None:
    _field(w, "all", "instances", "00080008")


@check("Q8.5", "includefield of any stored attribute", "10.6.3.3.3", Level.OPTIONAL, CT_STUDY)
def include_any(w: World) -> None:
    found = _field(w, "00180060", "instances", "00180060")
    if found is None:
        raise Skipped("KVP is not among the attributes that the server returns")
    expect(found["vr"] == "DS" and float(found["Value"][0]) == 120, f"{found} came")


@check("Q8.6", "includefield of a private attribute, with its creator", "8.3.4.3", Level.OPTIONAL, CT_STUDY)
def include_private(w: World) -> None:
    found = _field(w, "00291001", "instances", "00291001", **{"00290010": objects.CREATOR})
    if found is None:
        raise Skipped("private attributes are not returned")
    expect(found.get("Value") == ["private value 1"], f"{found} came")


@check("Q8.7", "includefield of an attribute inside a sequence", "8.3.1, 8.3.4.3", Level.OPTIONAL, CT_STUDY)
def include_dotted(w: World) -> None:
    found = _field(w, "OtherPatientIDsSequence.PatientID", "studies", "00101002")
    if not found or not found.get("Value"):
        raise Skipped("OtherPatientIDsSequence is not among the attributes that the server returns")
    expect(text(found["Value"][0], "00100020") == f"OTHER{w.run}", f"{found} came")


@check("Q8.8", "includefield of an unknown keyword: 400, or ignored", "8.3", needs=["ct1"])
def include_unknown(w: World) -> None:
    """8.3 asks for 400 on invalid values; ignoring is common and harmless, so only --strict insists."""
    answer = w.get("/studies?limit=1&includefield=NoSuchKeyword", JSON)
    answer.must(400) if w.strict else answer.must(200, 204, 400)
