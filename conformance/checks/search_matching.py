"""How values are matched: Q6, Q7 and Q11 (PS3.18 8.3.4; PS3.4 C.2.2.2)."""

from __future__ import annotations

from urllib.parse import quote

from conformance.checks.search import matches_in_sequences
from conformance.client import JSON, Answer
from conformance.collection import CYRILLIC, GREEK
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World, query, uids_of

STUDY, INSTANCE = "0020000D", "00080018"
DATED = ("t1", "t2", "t3")
DAYS = {name: f"2023070{day}" for name, day in zip(DATED, (4, 5, 6), strict=True)}


def _dated(w: World, **keys: str) -> set[str]:
    """Which of the three studies on three days match."""
    found = uids_of(w.search("/studies", PatientID=f"CONF{w.run}-T", **keys), STUDY)
    known = {str(w[name].dataset.StudyInstanceUID): name for name in DATED}
    return {known.get(uid, uid) for uid in found}


RANGES = {
    1: ("a date range", {"StudyDate": "20230704-20230705"}, {"t1", "t2"}),
    2: ("a date range open at its end", {"StudyDate": "20230705-"}, {"t2", "t3"}),
    3: ("a date range open at its start", {"StudyDate": "-20230704"}, {"t1"}),
    4: ("a time range", {"StudyTime": "0900-1100"}, {"t3"}),
    5: ("a time range open at its end", {"StudyTime": "100000-"}, {"t2", "t3"}),
    6: ("a time range open at its start", {"StudyTime": "-100000"}, {"t1", "t3"}),
    7: ("an empty value, which all match", {"AccessionNumber": ""}, {"t1", "t2", "t3"}),
    8: ("* alone, which all match", {"AccessionNumber": "*"}, {"t1", "t2", "t3"}),
    9: ("* inside a value", {"AccessionNumber": "A*t2"}, {"t2"}),
    10: ("? inside a value", {"AccessionNumber": "A{run}t?"}, {"t1", "t2", "t3"}),
    11: ("? that stands for one character only", {"AccessionNumber": "A{run}?"}, set()),
    12: ("a date and a time", {"StudyDate": "20230706", "StudyTime": "100000"}, {"t3"}),
}


def _range(number: int, title: str, keys: dict[str, str], expected: set[str]) -> None:
    clause = "PS3.4 C.2.2.2.3 to .5" if number != 12 else "PS3.4 C.2.2.2.1"

    @check(f"Q6.{number}", f"matching of {title}", f"8.3.4.1.1, {clause}", needs=DATED)
    def run(w: World) -> None:
        found = _dated(w, **{key: value.format(run=w.run) for key, value in keys.items()})
        expect(
            found == expected, f"{sorted(found) or 'nothing'} matched, not {sorted(expected) or 'nothing'}"
        )


for _number, (_title, _keys, _expected) in RANGES.items():
    _range(_number, _title, _keys, _expected)


@check("Q6.13", "date and time ranges are one range", "8.3.4.1.1, PS3.4 C.2.2.2.5", needs=DATED)
def combined(w: World) -> None:
    """PS3.4 ties this to negotiation; PS3.18 8.3.4.1.1 says that it shall be performed."""
    found = _dated(w, StudyDate="20230704-20230706", StudyTime="1000-1200")
    expect(found == {"t2", "t3"}, f"{sorted(found)} matched from 4 July 10:00 to 6 July 12:00, not t2 and t3")


@check("Q6.14", "a list of UIDs, separated by commas", "8.3.4.1", needs=DATED)
def uid_list(w: World) -> None:
    wanted = ",".join(str(w[name].dataset.StudyInstanceUID) for name in ("t1", "t3"))
    expect(_dated(w, StudyInstanceUID=wanted) == {"t1", "t3"}, "the list does not give both studies")
    path = f"/studies?StudyInstanceUID={wanted}"
    expect(
        len(w.get(path, JSON).must(200).items()) == 2, "a comma that is not percent-encoded does not separate"
    )


@check("Q6.15", "a list of UIDs, separated by backslashes", "what viewers send", Level.EXTENSION, DATED)
def uid_list_backslash(w: World) -> None:
    """PS3.18 separates by commas; a server may hold to that. A backslash has to be percent-encoded (8.3.1)."""
    _must_decode(w)
    wanted = "%5C".join(str(w[name].dataset.StudyInstanceUID) for name in ("t1", "t3"))
    answer = w.get(f"/studies?StudyInstanceUID={wanted}", JSON)
    found = w.offered(answer, "a list separated by backslashes", (400,)).must(200, 204).items()
    expect(len(found) == 2, f"the list gives {len(found)} studies, not both")


@check("Q6.16", "a UID list of a series, and of instances", "8.3.4.1, PS3.4 C.2.2.2.2", needs=["ct1", "ct3"])
def instance_list(w: World) -> None:
    found = w.search(w["ct1"].study + "/instances", SOPInstanceUID=f"{w['ct1'].uid},{w['ct3'].uid}")
    expect(set(uids_of(found, INSTANCE)) == {w["ct1"].uid, w["ct3"].uid}, f"{len(found)} results")


@check(
    "Q6.17",
    "two keys of one sequence match in one item",
    "PS3.4 C.2.2.2.6",
    needs=["ct1", "ct2", "ct3", "mr1"],
)
def one_item(w: World) -> None:
    """PS3.4 C.2.2.2.6: all item keys must match in at least one item."""
    matches_in_sequences(w)
    keys = (
        "RequestAttributesSequence__ScheduledProcedureStepID",
        "RequestAttributesSequence__RequestedProcedureID",
    )
    path = w["ct1"].study + "/series"
    expect(
        len(w.search(path, **dict(zip(keys, ("SPS-1", "RP-1"), strict=True)))) == 1, "the item is not found"
    )
    expect(not w.search(path, **dict(zip(keys, ("SPS-1", "RP-2"), strict=True))), "two items matched as one")


def _zoned(w: World, offset: str, date: str, time: str) -> int:
    keys = {"StudyDate": date, "StudyTime": time, "TimezoneOffsetFromUTC": offset}
    return len(w.search("/studies", PatientID=str(w["zone"].dataset.PatientID), **keys))


@check("Q6.18", "a time zone in the request counts", "8.3.4.1.1, 10.6.1.2.1", needs=["zone"])
def timezone(w: World) -> None:
    """The study began at 01:00 on 1 August at +0900: at 16:00 on 31 July in UTC, at 15:00 at -0100."""
    expect(_zoned(w, "-0100", "20230731-20230731", "1400-1600") == 1, "not found by its time at -0100")
    expect(
        _zoned(w, "-0100", "20230801-20230801", "0000-0200") == 0, "found by its time at +0900 read as -0100"
    )


@check("Q6.19", "values of text are case sensitive", "PS3.4 C.2.2.2.4", Level.OPTIONAL, DATED)
def case_sensitive(w: World) -> None:
    """PS3.4 C.2.2.2.4 says that wildcard matching is case sensitive except for names."""
    expect(not _dated(w, AccessionNumber=f"a{w.run.lower()}T*"), "an AccessionNumber in other case matched")


@check("Q6.20", "a wildcard in a name", "PS3.4 C.2.2.2.4 (each server says how)", Level.OPTIONAL, ["ct1"])
def name_wildcard(w: World) -> None:
    """For names wildcard matching is left to the implementation, yet every viewer relies on it."""
    for value in ("Kestrel*", "*Anna*", "K?strel*"):
        found = w.search("/studies", PatientID=str(w["ct1"].dataset.PatientID), PatientName=value)
        expect(len(found) == 1, f"{value} does not match")
    expect(
        not w.search("/studies", PatientID=str(w["ct1"].dataset.PatientID), PatientName="Wren*"),
        "Wren* matches",
    )


@check("Q6.21", "a name in other case", "PS3.4 C.2.2.2.1 (each server says how)", Level.OPTIONAL, ["ct1"])
def name_case(w: World) -> None:
    found = w.search("/studies", PatientID=str(w["ct1"].dataset.PatientID), PatientName="kestrel*")
    if not found:
        raise Skipped("names are matched by their case")


@check("Q6.22", "a name by its ideographic group", "PS3.4 C.2.2.2.4 Note 3", Level.OPTIONAL, ["jp"])
def name_group(w: World) -> None:
    for value in ("山田*", "やまだ*"):
        if not w.search("/studies", PatientID=str(w["jp"].dataset.PatientID), PatientName=value):
            raise Skipped(f"{value} does not match: groups of names are not matched on their own")


FEATURES = {
    "fuzzymatching": "The fuzzymatching parameter is not supported. Only literal matching has been performed.",
    "emptyvaluematching": (
        "The emptyvaluematching parameter is not supported. Empty Value Matching has not been performed."
    ),
    "multiplevaluematching": (
        "The multiplevaluematching parameter is not supported. Multiple Value Matching has not been performed."
    ),
}


def _warned(answer: Answer, parameter: str) -> bool:
    """True when the answer says that the parameter is not supported. Raises `Failed` when it says so in other words."""
    if parameter not in answer.warnings:
        return False
    expect(FEATURES[parameter] in answer.warnings, f"Warning: {answer.warnings}")
    expect(answer.warnings.lstrip().startswith("299 "), f"Warning: {answer.warnings}, without 299")
    return True


@check("Q7.1", "fuzzymatching=true: fuzzy, or the Warning", "8.3.4.2", needs=["ct1"])
def fuzzy(w: World) -> None:
    """The algorithm is the server's own; all that are documented find a family name on its own."""
    path = query("/studies", PatientID=str(w["ct1"].dataset.PatientID), PatientName="kestrel")
    answer = w.get(path + "&fuzzymatching=true", JSON).must(200, 204)
    if not _warned(answer, "fuzzymatching"):
        expect(len(answer.items()) == 1, "kestrel does not find Kestrel^Anna^Maria, and no Warning says so")


@check(
    "Q7.2",
    "emptyvaluematching=true: done, or the Warning",
    "8.3.4.5, PS3.4 C.2.2.2.7",
    needs=["empty", "filled"],
)
def empty_value(w: World) -> None:
    """Two quotation marks stand for no value; without support the Warning is a shall of 8.3.4.5."""
    path = query("/studies", PatientID=f"CONF{w.run}-E") + f"&AccessionNumber={quote(chr(34) * 2)}"
    answer = w.get(path + "&emptyvaluematching=true", JSON).must(200, 204)
    if not _warned(answer, "emptyvaluematching"):
        found = uids_of(answer.items(), STUDY)
        wanted = [str(w["empty"].dataset.StudyInstanceUID)]
        expect(found == wanted, f"{len(found)} results instead of the study without value, and no Warning")


@check(
    "Q7.3",
    "multiplevaluematching=true: done, or the Warning",
    "8.3.4.6, PS3.4 C.2.2.2.8",
    needs=["ct1", "mr1"],
)
def multiple_value(w: World) -> None:
    """How several values are separated is not said: the comma of 8.3.4.1 and the backslash of C-FIND are both tried."""
    base = (
        query("/studies", StudyInstanceUID=str(w["ct1"].dataset.StudyInstanceUID))
        + "&multiplevaluematching=true"
    )
    counts = {}
    for sign in (",", "%5C"):
        for other in ("MR", "US"):
            answer = w.get(f"{base}&ModalitiesInStudy=CT{sign}{other}", JSON).must(200, 204, 400)
            if answer.status != 400:
                if _warned(answer, "multiplevaluematching"):
                    return
                counts[sign, other] = len(answer.items())
    both = any(counts.get((sign, "MR")) == 1 and counts.get((sign, "US")) == 0 for sign in (",", "%5C"))
    expect(both, "CT and MR does not find the study alone that has both, and no Warning says so")


@check("Q7.4", "false asks for nothing special", "8.3.4.2, 8.3.4.5, 8.3.4.6", needs=["ct1"])
def features_off(w: World) -> None:
    base = query("/studies", StudyInstanceUID=str(w["ct1"].dataset.StudyInstanceUID))
    for parameter in FEATURES:
        answer = w.get(f"{base}&{parameter}=false", JSON).must(200)
        expect(
            "not supported" not in answer.warnings, f"{parameter}=false is answered with {answer.warnings}"
        )


@check("Q7.5", "fuzzy matching of names outside Latin", "8.3.4.2", Level.OPTIONAL, ["ru", "gr", "ct1"])
def fuzzy_scripts(w: World) -> None:
    _must_decode(w)
    for name, person in (("ru", CYRILLIC), ("gr", GREEK)):
        path = query(
            "/studies", PatientID=str(w[name].dataset.PatientID), PatientName=person.partition("^")[0].lower()
        )
        answer = w.get(path + "&fuzzymatching=true", JSON).must(200, 204)
        if _warned(answer, "fuzzymatching"):
            raise Skipped("fuzzy matching is not supported")
        expect(
            len(answer.items()) == 1,
            f"the family name {person.partition('^')[0].lower()} does not find {person}",
        )


@check("Q7.6", "true or false, nothing else: 400", "8.3 (if supported), 8.3.4.2", Level.OPTIONAL, ["ct1"])
def features_invalid(w: World) -> None:
    """The values are true and false (8.3.4.2, .5, .6). 8.3 asks for 400 on any other, but only of servers that
    support the parameter, and all three are optional."""
    for parameter in FEATURES:
        w.get(f"/studies?limit=1&{parameter}=perhaps", JSON).must(400)


def _letters(w: World) -> str:
    letters = "".join(f"%{ord(letter):02X}" for letter in str(w["ct1"].dataset.AccessionNumber))
    return f"/studies?StudyInstanceUID={w['ct1'].dataset.StudyInstanceUID}&AccessionNumber={letters}"


def _decodes(w: World) -> bool:
    return bool(w.once("decodes", lambda: len(w.get(_letters(w), JSON).must(200, 204).items()) == 1))


def _must_decode(w: World) -> None:
    if not _decodes(w):
        raise Skipped("values are not percent-decoded, which Q11.1 says already")


@check("Q11.1", "values are percent-decoded", "8.3.4.1, RFC 3986 2.1", needs=["ct1"])
def percent_decoded(w: World) -> None:
    """RFC 3986 2.1: an encoded letter is that letter; 8.3.4.1 makes encoding obligatory for many."""
    w.get(_letters(w), JSON)  # so that the report has the request, which another check may have made
    expect(_decodes(w), "an AccessionNumber with all its letters percent-encoded does not match")


@check("Q11.2", "characters that must be percent-encoded reach the key", "8.3.4.1", needs=["ct1"])
def percent_encoded(w: World) -> None:
    _must_decode(w)
    found = w.search("/studies", PatientID=str(w["ct1"].dataset.PatientID), StudyID="a&b=c,d#[1]")
    expect(len(found) == 1, "a&b=c,d#[1], percent-encoded, does not match")


@check("Q11.6", "a name of five components", "8.3.4.1, PS3.4 C.2.2.2.1", needs=["ct1"])
def components(w: World) -> None:
    _must_decode(w)
    keys = {"PatientID": str(w["ct1"].dataset.PatientID)}
    expect(
        len(w.search("/studies", **keys, PatientName="Kestrel^Anna^Maria^Dr^PhD")) == 1,
        "the name does not match",
    )
    expect(not w.search("/studies", **keys, PatientName="Kestrel^Berta^Maria^Dr^PhD"), "another name matches")


def _script(number: int, name: str, title: str) -> None:
    @check(f"Q11.{number}", f"a name in {title}", "8.3.4.1, PS3.4 C.2.2.2.1", needs=[name, "ct1"])
    def run(w: World) -> None:
        _must_decode(w)
        ds = w[name].dataset
        found = w.search("/studies", PatientID=str(ds.PatientID), PatientName=str(ds.PatientName))
        expect(len(found) == 1, f"{ds.PatientName} does not match itself")
        other = w.search("/studies", PatientID=str(ds.PatientID), PatientName="Ивaновa^Ольгa")
        expect(not other, "another name matches")


_script(3, "ru", "Cyrillic, stored as ISO_IR 144")
_script(4, "gr", "Greek, stored as UTF-8")
_script(5, "jp", "Japanese, all three groups, stored as ISO 2022 IR 87")
