"""Which of several identifiers is the Patient ID, and which others are the same patient's (HL7 v2.5.1 2.A.14, CX)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archive.dicom.errors import CannotUnderstand, InvalidValue, MissingValue
from archive.dicom.patient_key import Identifier
from archive.hl7 import identifiers
from archive.hl7.message import Message, Segment
from hl7_door import Door, header, obr, orc, order, segment

OpenDoor = Callable[..., Door]
SITE = ("HOSP", "1.2.3")


def parsed(*segments: str) -> list[Segment]:
    return Message("\r".join([header(kind="ADT^A40"), *segments]).encode(), "UNICODE UTF-8").segments[1:]


def pid(ids: str) -> Segment:
    return parsed(segment("PID", f3=ids))[0]


def pairs(prior: str, surviving: str, *authorities: str) -> list[tuple[str, str]]:
    patient, merge = parsed(segment("PID", f3=surviving), segment("MRG", f1=prior))
    return [
        (one.prior.PatientID, one.surviving.PatientID)
        for one in identifiers.pairs(patient, merge, authorities)
    ]


@pytest.mark.parametrize(
    ("ids", "authorities", "expected"),
    [
        ("1^^^A~2^^^HOSP", (), ("1", "A")),
        ("1^^^A~2^^^HOSP", SITE, ("2", "HOSP")),
        ("1^^^A~2^^^LAB&1.2.3&ISO", SITE, ("2", "LAB")),
        ("1^^^A~2^^^&1.2.3&ISO", SITE, ("2", "1.2.3")),
        ("1^^^X&1.2.3&ISO~2^^^HOSP", SITE, ("2", "HOSP")),
        ("1^^^HOSP^AN~2^^^HOSP^MR", SITE, ("2", "HOSP")),
        ("1^^^A~2", SITE, ("2", "")),
        ("~2^^^HOSP", (), ("2", "HOSP")),
    ],
)
def test_the_patient_id(ids: str, authorities: tuple[str, ...], expected: tuple[str, str]) -> None:
    found = identifiers.chosen(pid(ids), 3, authorities)
    assert (found.PatientID, found.issuer) == expected


@pytest.mark.parametrize("ids", ["1^^^A", "1^^^HOSP^AN", "", "~"])
def test_no_patient_id_of_the_site(ids: str) -> None:
    with pytest.raises(MissingValue, match="PID-3"):
        identifiers.chosen(pid(ids), 3, SITE)


@pytest.mark.parametrize("ids", ["1^^^A~4711&2^^^HOSP", f"{'9' * 65}^^^HOSP", "4711\\X00\\2"])
def test_identifiers_that_are_none(ids: str) -> None:
    with pytest.raises((CannotUnderstand, InvalidValue)):
        identifiers.all_of(pid(ids), 3, SITE)


@pytest.mark.parametrize(
    ("ids", "authorities", "expected"),
    [
        ("1^^^A", (), [Identifier("1", ("A",), None)]),
        ("1", (), [Identifier("1", (), None)]),
        (
            "1^^^A^MR~2^^^A^AN~3^^^A^MR~4^^^B^MR",
            (),
            [Identifier("1", ("A",), None), Identifier("3", ("A",), False)],
        ),
        ("1~2", (), [Identifier("1", (), None)]),
        ("1^^^A^AN~2^^^A^AN", (), [Identifier("1", ("A",), None)]),
        (
            "9^^^A~1^^^LAB&1.2.3&ISO~2^^^HOSP^MR~3^^^HOSP^AN~4",
            SITE,
            [
                Identifier("2", ("HOSP",), True),
                Identifier("1", ("LAB", "1.2.3"), False),
                Identifier("4", ("HOSP",), True),
            ],
        ),
    ],
)
def test_who_else_the_patient_is(ids: str, authorities: tuple[str, ...], expected: list[Identifier]) -> None:
    assert identifiers.all_of(pid(ids), 3, authorities) == expected


@pytest.mark.parametrize(
    ("prior", "surviving", "authorities", "expected"),
    [
        ("T", "4711", (), [("T", "4711")]),
        ("T^^^HOSP", "4711^^^HOSP", (), [("T", "4711")]),
        ("T^^^ER", "4711^^^HOSP", (), [("T", "4711")]),
        ("2^^^HOSP^MR", "1^^^MPI^PI~4^^^HOSP^MR", (), [("2", "1")]),
        ("2^^^HOSP^MR", "1^^^MPI^PI~4^^^HOSP^MR", ("HOSP", "MPI"), [("2", "4")]),
        ("2^^^HOSP~E2^^^MPI", "4^^^HOSP~E4^^^MPI", ("HOSP", "MPI"), [("2", "4"), ("E2", "E4")]),
        ("2^^^HOSP~E4^^^MPI", "4^^^HOSP~E4^^^MPI", ("HOSP", "MPI"), [("2", "4")]),
        ("2^^^HOSP^MR~T^^^HOSP^MRT", "4^^^HOSP^MR~U^^^HOSP^MRT", ("HOSP",), [("2", "4"), ("T", "U")]),
        ("2^^^HOSP^MR~99^^^HOSP^AN", "4^^^HOSP^MR~77^^^HOSP^AN", ("HOSP",), [("2", "4")]),
        ("2^^^HOSP^MR~3^^^HOSP^MR", "4^^^HOSP^MR", (), [("2", "4"), ("3", "4")]),
        ("4711^^^ER", "4711^^^HOSP", (), [("4711", "4711")]),
    ],
)
def test_what_is_merged_into_what(
    prior: str, surviving: str, authorities: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    assert pairs(prior, surviving, *authorities) == expected


@pytest.mark.parametrize(
    ("prior", "surviving", "authorities", "error"),
    [
        ("", "4711", (), MissingValue),
        ("T^^^ER", "4711^^^HOSP", ("HOSP",), MissingValue),
        ("T^^^HOSP", "4711^^^ER", ("HOSP",), MissingValue),
        ("4711^^^HOSP", "4711^^^HOSP", (), InvalidValue),
        ("4711", "4711^^^HOSP", ("HOSP",), InvalidValue),
        ("4711^^^LAB&1.2.3&ISO", "4711^^^&1.2.3&ISO", (), InvalidValue),
    ],
)
def test_what_is_no_merge(
    prior: str, surviving: str, authorities: tuple[str, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        pairs(prior, surviving, *authorities)


def test_an_order_has_the_patient_id_of_the_site(open_door: OpenDoor) -> None:
    """Known shortfall until now: the first repetition was taken, whoever had given it."""
    door = open_door(hl7__assigning_authorities=["HOSP"])
    ids = "999^^^INSURANCE~4711^^^HOSP^MR"
    assert door.send(order().replace("4711^^^HOSP", ids))[0] == "AA"
    [entry] = door.entries()
    assert (entry["PatientID"], entry["IssuerOfPatientID"]) == ("4711", "HOSP")
    code, _, text = door.send(order(orc(f3="F2"), obr()).replace("4711^^^HOSP", "999^^^INSURANCE"))
    assert (code, "hl7.assigning_authorities" in text) == ("AE", True)


def test_the_legal_name_counts(door: Door) -> None:
    assert door.send(order().replace("Doe^Jane^M^Jr^Dr", "Star^Rock^^^^^A~Doe^Jane^^^^^L"))[0] == "AA"
    assert door.entries()[0]["PatientName"] == "Doe^Jane"
