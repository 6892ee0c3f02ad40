"""Command sets against pynetdicom's own encoder and decoder, and what those refuse."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from pydicom.tag import Tag
from pynetdicom import dimse_messages, dimse_primitives
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA

from archive.dicom.errors import AssociationAborted
from archive.network.commands import decode_command, encode_command, response_to

CLASS, INSTANCE = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4.5"
REQUEST: dict[str, Any] = {"MessageID": 7, "AffectedSOPClassUID": CLASS}
RESPONSE: dict[str, Any] = {"MessageIDBeingRespondedTo": 7, "AffectedSOPClassUID": CLASS, "Status": 0xFF00}
COUNTS = {
    f"NumberOf{kind}Suboperations": number
    for number, kind in enumerate(("Remaining", "Completed", "Failed", "Warning"))
}
ASKED = {"MessageID": 9, "RequestedSOPClassUID": CLASS, "RequestedSOPInstanceUID": INSTANCE}

MESSAGES: list[tuple[str, str, dict[str, Any]]] = [
    ("C_ECHO", "RQ", REQUEST),
    ("C_ECHO", "RSP", {**RESPONSE, "Status": 0}),
    (
        "C_STORE",
        "RQ",
        {
            **REQUEST,
            "Priority": 1,
            "AffectedSOPInstanceUID": INSTANCE,
            "MoveOriginatorApplicationEntityTitle": "MOVER",
            "MoveOriginatorMessageID": 3,
        },
    ),
    (
        "C_STORE",
        "RSP",
        {
            **RESPONSE,
            "AffectedSOPInstanceUID": INSTANCE,
            "OffendingElement": [Tag(0x00080018), Tag(0x00100010)],
            "ErrorComment": "odd",
        },
    ),
    ("C_FIND", "RQ", {**REQUEST, "Priority": 0}),
    ("C_FIND", "RSP", RESPONSE),
    ("C_GET", "RQ", {**REQUEST, "Priority": 0}),
    ("C_GET", "RSP", {**RESPONSE, **COUNTS}),
    ("C_MOVE", "RQ", {**REQUEST, "Priority": 2, "MoveDestination": "TARGET"}),
    ("C_MOVE", "RSP", {**RESPONSE, **COUNTS, "ErrorComment": "even"}),
    ("C_CANCEL", "RQ", {"MessageIDBeingRespondedTo": 7}),
    ("N_EVENT_REPORT", "RQ", {**REQUEST, "AffectedSOPInstanceUID": INSTANCE, "EventTypeID": 2}),
    ("N_EVENT_REPORT", "RSP", {**RESPONSE, "AffectedSOPInstanceUID": INSTANCE, "EventTypeID": 2}),
    ("N_GET", "RQ", {**ASKED, "AttributeIdentifierList": [Tag(0x00100010), Tag(0x00100020)]}),
    ("N_ACTION", "RQ", {**ASKED, "ActionTypeID": 1}),
    ("N_DELETE", "RQ", ASKED),
]
WITH_DATA_SET = {"DataSet", "Identifier", "EventInformation", "ActionInformation"}


def primitive_of(name: str, values: dict[str, Any]) -> Any:
    primitive = getattr(dimse_primitives, name)()
    for keyword, value in values.items():
        setattr(primitive, keyword, value)
    return primitive


@pytest.mark.parametrize("has_data_set", [True, False])
@pytest.mark.parametrize(("name", "kind", "values"), MESSAGES, ids=[f"{n}-{k}" for n, k, _ in MESSAGES])
def test_encoded_as_pynetdicom_does(name: str, kind: str, values: dict[str, Any], has_data_set: bool) -> None:
    ours = primitive_of(name, values)
    theirs = primitive_of(name, values)
    message = getattr(dimse_messages, f"{name}_{kind}")()
    keyword = next((keyword for keyword in WITH_DATA_SET if hasattr(theirs, keyword)), None)
    if keyword and has_data_set:
        setattr(theirs, keyword, BytesIO(b"data"))
    message.primitive_to_message(theirs)
    expected = encode(message.command_set, True, True)
    if message.command_set.CommandDataSetType == (0x0001 if has_data_set else 0x0101):
        assert encode_command(ours, has_data_set) == expected


@pytest.mark.parametrize(("name", "kind", "values"), MESSAGES, ids=[f"{n}-{k}" for n, k, _ in MESSAGES])
def test_comes_back_as_it_went(name: str, kind: str, values: dict[str, Any]) -> None:
    encoded = encode_command(primitive_of(name, values), has_data_set=False)
    command = decode_command(encoded)
    assert {keyword: getattr(command.primitive, keyword) for keyword in values} == values
    assert (type(command.primitive).__name__, command.is_response) == (name, kind == "RSP")
    assert (command.has_data_set, command.is_cancel) == (False, name == "C_CANCEL")

    message = dimse_messages.DIMSEMessage()
    p_data = P_DATA()
    p_data.presentation_data_value_list.append((1, b"\3" + encoded))
    assert message.decode_msg(p_data)
    theirs = message.message_to_primitive()
    assert {keyword: getattr(theirs, keyword) for keyword in values} == values


@pytest.mark.parametrize("uid", ["1." * 40 + "1", "../../etc/passwd", "1.02.3", "a\\b", "\x00"])
def test_values_are_taken_as_sent(uid: str) -> None:
    request = primitive_of("C_STORE", REQUEST)
    request._affected_sop_instance_uid = uid
    request._priority = 99
    command = decode_command(encode_command(request, has_data_set=True))
    assert command.primitive.AffectedSOPInstanceUID == uid.strip("\0")
    assert command.primitive.Priority == 99
    assert command.is_store_request
    assert command.has_data_set
    answer = decode_command(encode_command(response_to(command.primitive, 0xA900), has_data_set=False))
    assert answer.primitive.AffectedSOPInstanceUID == (uid.strip("\0") or None)


def test_a_blank_or_odd_move_destination_is_taken_as_sent() -> None:
    for title in ("", "../../x", "Ä"):
        request = primitive_of("C_MOVE", REQUEST)
        request._move_destination = title
        command = decode_command(encode_command(request, has_data_set=True))
        assert (command.primitive.MoveDestination or "") == title


def test_a_response_answers_its_request() -> None:
    request = primitive_of("C_MOVE", {**REQUEST, "MoveDestination": "TARGET"})
    comment = "é\\" + "x" * 100
    answer = response_to(request, 0xA702, ErrorComment=comment, NumberOfFailedSuboperations=100_000)
    assert (answer.MessageIDBeingRespondedTo, answer.AffectedSOPClassUID, answer.Status) == (7, CLASS, 0xA702)
    back = decode_command(encode_command(answer, has_data_set=False)).primitive
    assert back.ErrorComment == "?/" + "x" * 62
    assert back.NumberOfFailedSuboperations == 0xFFFF
    assert back.MoveDestination is None


def test_a_response_to_an_n_request_names_what_was_asked_for() -> None:
    answer = response_to(primitive_of("N_ACTION", {**ASKED, "ActionTypeID": 1}), 0)
    back = decode_command(encode_command(answer, has_data_set=False)).primitive
    assert (back.AffectedSOPClassUID, back.AffectedSOPInstanceUID, back.ActionTypeID) == (CLASS, INSTANCE, 1)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0\0\0\1\2\0\0\0\x99\x99",  # no such command
        b"\0\0\0\1\2\0\0\0\xff\x8f",  # C-CANCEL has no response
        b"\0\0\0\1\4\0\0\0\1\0\0\0",  # US of four bytes
        b"\0\0\0\1\xff\xff\xff\xff\1\0",
        b"\x08\0\x18\0\0\0\0\0",  # not group 0000
    ],
)
def test_what_is_no_command_set_aborts(encoded: bytes) -> None:
    with pytest.raises(AssociationAborted):
        decode_command(encoded)
