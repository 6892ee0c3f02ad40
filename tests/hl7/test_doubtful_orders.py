"""Messages of which it is in doubt whose orders they hold, or which: nobody is guessed, and nothing is left out."""

from __future__ import annotations

import pytest

from hl7_door import PID, PV1, ZDS, Door, header, obr, orc, order, segment, sent

OTHER_PID = segment("PID", f3="4812^^^HOSP", f5="Roe^Max")
OTHER_ZDS = segment("ZDS", f1="1.2.3.5")
SECOND = (orc(f2="PL2", f3="F2"), obr(f18="ACC2", f19="RP2", f20="SPS2"))


def message(*segments: str) -> str:
    return "\r".join([header(), *segments]) + "\r"


@pytest.mark.parametrize(
    ("whole", "words"),
    [
        (message(PID, orc(), obr(), OTHER_PID, *SECOND), "several PID"),
        (order() + message(OTHER_PID, *SECOND), "several MSH"),
        (message(PID, PV1, orc(), obr(), PV1, *SECOND), "several PV1"),
        (order(orc(), *SECOND), "no OBR"),
        (order(obr(), *SECOND), "OBR stands before ORC"),
        (order(orc(), obr(), ZDS, OTHER_ZDS), "several ZDS"),
        (order().replace("4711^", "4711&2^"), "PID-3.1 holds a separator"),
        (order(orc(f7="^^^2026-12-31 14:30"), obr(), ZDS), "YYYYMMDD"),
        (order(orc(), *(obr(f20=f"S{number}") for number in range(101))), "more than 100 steps"),
        (order(orc(f7="^^^202612"), obr(), ZDS), "YYYYMMDD"),
    ],
)
def test_orders_of_nobody_knows_whom(door: Door, whole: str, words: str) -> None:
    code, _, text = door.send(whole)
    assert code == "AE"
    assert words in text
    assert door.entries() == []


def codes(entry: dict[str, object]) -> list[str]:
    protocol = entry["ScheduledProtocolCodeSequence"]
    assert isinstance(protocol, list)
    return [code["CodeValue"] for code in protocol]


def test_one_step_in_several_pairs_of_orc_and_obr(door: Door) -> None:
    """IHE RAD-4: a pair for each code of the protocol, with the same OBR-20."""
    pairs = (orc(), obr(), orc(), obr(f4="CTH^CT head^L^P2^Contrast^LP"), ZDS)
    for _ in range(2):
        assert door.send(order(*pairs))[0] == "AA"
    [entry] = door.entries()
    assert codes(entry) == ["P1", "P2"]


def test_steps_of_two_procedures_that_have_one_id_are_two(door: Door) -> None:
    """Step IDs are often 1, 2, 3 within a procedure: the accession number of the second was lost."""
    assert door.send(order(orc(), obr(f20="1"), obr(f18="ACC2", f19="RP2", f20="1")))[0] == "AA"
    assert {one["AccessionNumber"]: codes(one) for one in door.entries()} == {"ACC1": ["P1"], "ACC2": ["P1"]}


def test_the_study_of_one_order_is_not_that_of_the_next(door: Door) -> None:
    assert door.send(order(orc(), obr(), ZDS, *SECOND))[0] == "AA"
    one, other = door.entries()
    assert one["StudyInstanceUID"] == "1.2.3.4" != other["StudyInstanceUID"]


@pytest.mark.parametrize("segments", [(orc(), obr(), *SECOND, ZDS), (ZDS, orc(), obr(), *SECOND)])
def test_the_study_of_all_orders(door: Door, segments: tuple[str, ...]) -> None:
    assert door.send(order(*segments))[0] == "AA"
    assert [one["StudyInstanceUID"] for one in door.entries()] == ["1.2.3.4"] * 2


def test_windows_1252_that_is_said_to_be_latin_1(door: Door) -> None:
    code, _, text = door.send(order(charset="8859/1").replace("Doe", "\x8aoe"), "latin-1")
    assert (code, door.entries()) == ("AE", [])
    assert "PatientName holds control characters" in text


@pytest.mark.parametrize("kind", ["ORM^O01\\C", "ORM^\\C2842\\", "ORM^O01\\XFF\\"])
def test_the_answer_names_a_message_whose_type_cannot_be_read(door: Door, kind: str) -> None:
    """And the connection goes on."""
    with door.connect() as connection:
        assert sent(connection, order(kind=kind))[:2] in (("AE", "M1"), ("AR", "M1"))
        assert sent(connection, order())[0] == "AA"


def test_two_systems_that_count_alike(door: Door) -> None:
    """ORC-2.2 says who gave the number: the order of one is not changed or cancelled by the other, nor refused because
    that of the other is somebody else's."""
    detail = obr(f18="", f19="", f20="")
    assert door.send(message(PID, orc(f2="7^RISA", f3=""), detail))[0] == "AA"
    assert door.send(message(PID, orc(f2="7^RISB^1.2.4^ISO", f3=""), detail))[0] == "AA"
    assert door.send(message(OTHER_PID, orc(f2="7^RISC", f3=""), detail))[0] == "AA"
    assert door.send(message(PID, orc("CA", f2="7^RISB", f3="")))[0] == "AA"
    found = {one["OrderPlacerIdentifierSequence"][0]["LocalNamespaceEntityID"]: one for one in door.entries()}
    assert [found[name]["state"] for name in ("RISA", "RISB", "RISC")] == [
        "SCHEDULED",
        "CANCELED",
        "SCHEDULED",
    ]
    assert found["RISC"]["PatientID"] == "4812"
