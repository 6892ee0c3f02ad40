"""What a client hears of coercion (S5, S6): 202, Warning Reason B000, and the object as it is now."""

from __future__ import annotations

from collections.abc import Callable

from pydicom.uid import JPEG2000Lossless

from objects import mr, part10
from stow_bodies import OCTETS, fetched, metadata, model, post
from web_door import Door


def reasons(answer: object) -> list[int]:
    """Warning Reasons, 0 for an instance without."""
    items = answer.json()["00081199"]["Value"]  # type: ignore[attr-defined]
    return [item.get("00081196", {}).get("Value", [0])[0] for item in items]


def test_both_kinds_of_request(open_door: Callable[..., Door]) -> None:
    door = open_door(coercion={"InstitutionName": "General"})
    binary, composed, unchanged = mr(), mr(), mr(InstitutionName="General")
    answer = door.store(part10(binary), part10(unchanged))
    assert answer.status_code == 202
    assert reasons(answer) == [0xB000, 0]
    assert answer.headers["warning"].startswith("B000 ")
    second = post(door, [metadata(model(composed, "a")), (OCTETS, "a", composed.PixelData)])
    assert (second.status_code, reasons(second)) == (202, [0xB000])
    again = post(door, [metadata(model(composed, "a")), (OCTETS, "a", composed.PixelData)])
    assert (again.status_code, reasons(again)) == (202, [0xB000])
    for data_set in (binary, composed):
        stored = fetched(door, data_set)
        assert stored.InstitutionName == "General"
        assert stored.OriginalAttributesSequence[0].ModifyingSystem == "ARCHIVE"


def test_searches_find_what_is_there_now(open_door: Callable[..., Door]) -> None:
    door = open_door(coercion={"PatientID": "NEW"})
    data_set = mr(PatientID="OLD")
    assert door.store(part10(data_set)).status_code == 202
    found = door.client.get("/dicom-web/studies", params={"PatientID": "NEW"})
    assert [study["00100020"]["Value"] for study in found.json()] == [["NEW"]]
    assert door.client.get("/dicom-web/studies", params={"PatientID": "OLD"}).status_code == 204


def test_rules_and_compression_by_both_kinds_of_request(open_door: Callable[..., Door]) -> None:
    """dimse.md 1.2, S6: the door decides nothing of it."""
    door = open_door(
        coercion_rules=[{"door": "STOW-RS", "when": {"StationName": "OLD"}, "prefix": {"PatientID": "GH-"}}],
        compression=[{"transfer_syntax": "JPEG2000Lossless", "modality": "MR"}],
    )
    binary, unchanged = mr(StationName="OLD", PatientID="7"), mr(StationName="NEW")
    composed = mr(StationName="OLD", PatientID="7")
    answer = door.store(part10(binary), part10(unchanged))
    assert (answer.status_code, reasons(answer)) == (202, [0xB000, 0])
    second = post(door, [metadata(model(composed, "a")), (OCTETS, "a", composed.PixelData)])
    assert (second.status_code, reasons(second)) == (202, [0xB000])
    for data_set, patient_id in ((binary, "GH-7"), (composed, "GH-7"), (unchanged, unchanged.PatientID)):
        stored = fetched(door, data_set)
        assert (stored.PatientID, stored.file_meta.TransferSyntaxUID) == (patient_id, JPEG2000Lossless)
        assert stored.pixel_array.tobytes() == data_set.PixelData
    again = door.store(part10(binary), part10(unchanged))
    assert (again.status_code, reasons(again)) == (202, [0xB000, 0])
