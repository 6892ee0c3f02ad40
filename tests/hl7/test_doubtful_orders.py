"""Messages of which it is in doubt whose orders they hold, or which: nobody is guessed, and nothing is left out."""

from __future__ import annotations

import pytest

from hl7_door import PID, PV1, Door, header, obr, orc, order, segment

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
    ],
)
def test_orders_of_nobody_knows_whom(door: Door, whole: str, words: str) -> None:
    code, _, text = door.send(whole)
    assert code == "AE"
    assert words in text
    assert door.entries() == []
