"""Pages, bad requests, repository queries and what is declared: Q9, Q10, Q12 and Q13 (PS3.18 8.3, 8.3.4.4, 10.6)."""

from __future__ import annotations

import re
from urllib.parse import quote

from conformance.client import JSON, Answer
from conformance.native_model import text
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World, query, uids_of

STUDY, INSTANCE = "0020000D", "00080018"
DATED = ("t1", "t2", "t3")
PAGES = tuple(f"page{n}" for n in range(1, 8))
FEATURES = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")


def _page(w: World, query_string: str) -> Answer:
    return w.get(f"{w['page1'].series}/instances?{query_string}", JSON)


@check("Q9.1", "limit", "8.3.4.4", needs=PAGES)
def limit(w: World) -> None:
    for number in (1, 3, 7, 100):
        got = len(_page(w, f"limit={number}").must(200).items())
        expect(got == min(number, 7), f"limit={number} gives {got} of 7")


@check("Q9.2", "offset", "8.3.4.4", needs=PAGES)
def offset(w: World) -> None:
    whole = uids_of(_page(w, "limit=100").must(200).items(), INSTANCE)
    rest = uids_of(_page(w, "limit=100&offset=5").must(200).items(), INSTANCE)
    expect(rest == whole[5:], f"{len(rest)} results after offset=5, or in another order")


@check("Q9.3", "pages together are the whole, in one order", "8.3.4.4.1", needs=PAGES)
def pages(w: World) -> None:
    whole = uids_of(_page(w, "limit=100").must(200).items(), INSTANCE)
    found: list[str] = []
    for start in range(0, 8, 2):
        found += uids_of(_page(w, f"limit=2&offset={start}").must(200, 204).items(), INSTANCE)
    expect(found == whole, "the pages are not the whole in its order")


@check("Q9.4", "the same request gives the same order", "8.3.4.4.1", needs=DATED)
def same_order(w: World) -> None:
    ask = [uids_of(w.search("/studies", PatientID=f"CONF{w.run}-T"), STUDY) for _ in range(3)]
    expect(ask[0] == ask[1] == ask[2], "the order changed")


@check("Q9.5", "no match: 204 without a body", "8.3.4.4.1, 10.6.3.1")
def no_match(w: World) -> None:
    """8.3.4.4.1: if results <= 0 a 204 shall be returned with an empty payload."""
    answer = w.get(query("/studies", PatientID=f"CONF{w.run}-NOBODY"), JSON).must(204)
    expect(not answer.raw, "204 has a body")


@check("Q9.6", "offset beyond the last: 204 without a body", "8.3.4.4.1", needs=PAGES)
def beyond(w: World) -> None:
    """By 8.3.4.4.1 results is max(0, matches - offset), here 0, and so 204."""
    expect(not _page(w, "offset=7").must(204).raw, "204 has a body")


@check("Q9.7", "limit=0: 204", "8.3.4.4.1 (results <= 0)", needs=PAGES)
def limit_zero(w: World) -> None:
    """`results` is the minimum with `limit`, so 0, and then 204 shall be returned; 0 for "no limit" is not foreseen."""
    _page(w, "limit=0").must(204)


@check("Q9.8", "Warning with the number of results that remain", "8.3.4.4.1", needs=PAGES)
def remaining(w: World) -> None:
    """8.3.4.4.1: shall be included if any remain, whether the server's limit or the request's cut them off."""
    for query_string, count in (("limit=2", 5), ("limit=2&offset=3", 2)):
        warnings = _page(w, query_string).must(200).warnings
        wanted = f"There are {count} additional results that can be requested"
        expect(wanted in warnings, f"Warning {warnings or 'is absent'} for {query_string}; {count} remain")
        expect(re.match(r"299 \S+: ", warnings), f"Warning: {warnings}")


@check("Q9.9", "no such Warning on the last page", "8.3.4.4.1", needs=PAGES)
def none_remaining(w: World) -> None:
    warnings = _page(w, "limit=4&offset=3").must(200).warnings
    expect("additional results" not in warnings, f"Warning: {warnings}")


@check("Q10.1", "an unknown parameter is ignored", "8.3", needs=["ct1"])
def unknown_parameter(w: World) -> None:
    path = (
        query("/studies", StudyInstanceUID=str(w["ct1"].dataset.StudyInstanceUID)) + "&nosuchparameter=1&_=2"
    )
    expect(len(w.get(path, JSON).must(200).items()) == 1, "not the one study")


INVALID = {
    2: ("a date that is none", "StudyDate=yesterday"),
    3: ("a date range of three dates", "StudyDate=20240101-20240201-20240301"),
    4: ("limit that is no number", "limit=many"),
    5: ("offset below zero", "offset=-1"),
    6: ("a UID that is none", "StudyInstanceUID=not.a.uid"),
    7: ("a time that is none", "StudyTime=noon"),
}


def _invalid(number: int, title: str, query_string: str) -> None:
    @check(f"Q10.{number}", f"{title}: 400", "8.3, 10.6.3.1")
    def run(w: World) -> None:
        """8.3 is plain: an invalid value of a supported parameter shall be answered with 400."""
        w.get(f"/studies?{query_string}", JSON).must(400)


for _number, (_title, _query) in INVALID.items():
    _invalid(_number, _title, _query)


@check("Q10.8", "an attribute given twice: 400", "8.3.4.1, 10.6.3.1", Level.OPTIONAL)
def repeated(w: World) -> None:
    """It shall not be repeated; what a server does about it is only to be inferred, hence optional."""
    w.get("/studies?PatientID=1&PatientID=2", JSON).must(400)


@check("Q10.9", "an empty parameter does no harm", "what clients send", Level.EXTENSION, ["ct1"])
def empty_parameter(w: World) -> None:
    w.get(f"/studies?&StudyInstanceUID={w['ct1'].dataset.StudyInstanceUID}", JSON).must(200)


@check("Q10.10", "2,000 keys and 500 UIDs are answered in time", "8.5 (4xx)", Level.OPTIONAL)
def very_long(w: World) -> None:
    keys = "&".join(f"key{n}=1" for n in range(2000))
    w.get(f"/studies?limit=1&{keys}", JSON).must(200, 204, 400, 413, 414, 431)
    uids = ",".join(f"1.2.3.{n}" for n in range(500))
    w.get(f"/studies?StudyInstanceUID={uids}", JSON).must(200, 204, 400, 413, 414, 431)


@check("Q12.1", "a repository query in pieces", "10.6.1.2.4, PS3.4 C.6.4", Level.OPTIONAL, DATED)
def repository(w: World) -> None:
    """Record keys have the VR OB, so they come as InlineBinary and go back as that base64 (8.3.1.1)."""
    path = query("/studies", PatientID=f"CONF{w.run}-T") + "&MaximumNumberOfRecords=2&includefield=0008041B"
    found = w.offered(w.get(path, JSON), "the repository query", (400,)).must(200).items()
    if len(found) != 2 or "0008041B" not in found[0]:
        raise Skipped("MaximumNumberOfRecords or Record Key is not supported")
    key = quote(str(found[1]["0008041B"].get("InlineBinary") or text(found[1], "0008041B")), safe="")
    rest = w.get(f"{path}&PriorRecordKey={key}", JSON).must(200).items()
    seen = uids_of(found, STUDY) + uids_of(rest, STUDY)
    expect(len(seen) == len(set(seen)) == 3, f"{len(seen)} records in two pieces, not 3")


@check("Q13.1", "the server declares its search parameters", "10.6.5, Annex H", Level.OPTIONAL)
def declared(w: World) -> None:
    """A conformance statement cannot be read over the wire; the capabilities are what can."""
    answer = w.client.send("OPTIONS", "/", "application/vnd.sun.wadl+xml, application/json;q=0.5")
    body = w.offered(answer, "Retrieve Capabilities", (200,) if not answer.raw else ()).body
    missing = [name for name in ("limit", "offset", "includefield", *FEATURES) if name.encode() not in body]
    expect(not missing, f"the capabilities do not name {', '.join(missing)}")
