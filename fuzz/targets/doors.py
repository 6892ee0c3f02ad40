"""Whole requests at the doors, with an archive behind them: DIMSE messages and store requests.

What comes back is one of the answers that the standard has for it. The doors catch what nobody expected and log it as
an internal error, so that is what is looked for. The archive is a new one after some thousands of inputs.
"""

from __future__ import annotations

import atexit
import itertools
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import (
    C_ECHO,
    C_FIND,
    C_GET,
    C_MOVE,
    C_STORE,
    N_ACTION,
    N_CREATE,
    N_GET,
    N_SET,
)

from archive import config
from archive.bootstrap import building, preparing
from archive.bootstrap.building import Archive
from archive.dicom.errors import ArchiveError, PeerFailure
from archive.dimse import server
from archive.dimse.admission import Policy
from archive.network import pdu
from archive.network.association import Agreement, Association, Context, Limits
from archive.network.caller import Caller
from archive.network.commands import encode_command, request_of
from archive.network.transport import Deadlines, Wire
from archive.web.http.exchange import Asked
from archive.web.stow import store as begin_store
from fuzz import seeds
from fuzz.targets import associations, bodies

_CLASSES = (
    "1.2.840.10008.1.1",
    seeds.SECONDARY_CAPTURE,
    "1.2.840.10008.5.1.4.1.2.2.1",
    "1.2.840.10008.5.1.4.1.2.2.2",
    "1.2.840.10008.5.1.4.1.2.2.3",
    "1.2.840.10008.1.20.1",
    "1.2.840.10008.5.1.4.31",
    "1.2.840.10008.3.1.2.3.3",
    "1.2.840.10008.5.1.4.34.6.1",
    "1.2.840.10008.5.1.4.34.6.3",
    "1.2.840.10008.5.1.4.1.1.201.6",
)
_ECHO, _STORE, _FIND, _MOVE, _GET, _COMMIT, _WORKLIST, _MPPS, _PUSH, _PULL, _RECORDS = range(len(_CLASSES))
_MOST_MESSAGES = 4
_MOST_USES = 4000
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of a name of its own is made in it
_HEAD = struct.Struct("<BHH")
"""Of a message in an input: which context, lengths of command set and data set."""
_QUICK = Deadlines(1, 1, 1, 1, 1, 1, 0.05)
_STATUSES = {200, 202, 400, 409, 413, 415, 503}
_ROOTS = ("application/dicom", "application/dicom+json", "application/dicom+xml", "image/jpeg")


class _Archives:
    """One archive after the other, each in a folder of its own."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._archive: Archive | None = None
        self._uses = itertools.count(1)
        atexit.register(self.close)

    def one(self) -> Archive:
        """The archive of now."""
        if self._archive is None or not next(self._uses) % _MOST_USES:
            self.close()
            self._folder = Path(
                tempfile.mkdtemp(prefix="fuzz-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None)
            )
            overrides = {"storage.minimum_free_bytes": 0, "limits.maximum_object_bytes": 1 << 20}
            settings = replace(config.load(environment={}, overrides=overrides), data=self._folder)
            preparing.prepare(settings)
            self._archive = building.build(settings)
        return self._archive

    def close(self) -> None:
        """Nothing is left of it."""
        if self._archive is not None and self._folder is not None:
            self._archive.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._archive = None


_ARCHIVES = _Archives()


# --- DIMSE ---


def dimse(data: bytes) -> None:
    """Messages of an association that has been agreed upon."""
    archive = _ARCHIVES.one()
    ours, theirs = associations.pair()
    with ours, theirs, associations.faults() as found:
        theirs.sendall(b"".join(_framed(data)) + pdu.RELEASE_RQ)
        theirs.shutdown(socket.SHUT_WR)
        caller = Caller("FUZZ", "ARCHIVE", "127.0.0.1")
        admission = Policy(archive).admit(caller)
        contexts = {
            2 * number + 1: Context(
                2 * number + 1, uid, _syntax(number), as_scu=number == _STORE, as_scp=True
            )
            for number, uid in enumerate(_CLASSES)
        }
        agreement = Agreement(contexts, 16384, admitted=admission)
        association = Association(Wire(ours, _QUICK), caller, agreement, Limits(16384))
        try:
            server.handle(archive, association)
        except PeerFailure:
            pass
        finally:
            association.abort()
            admission.leave()
    assert not found, found


def _syntax(number: int) -> str:
    return seeds.EXPLICIT if number % 2 else seeds.IMPLICIT


def _framed(data: bytes) -> Iterator[bytes]:
    """The messages of an input as P-DATA-TF PDUs."""
    position = 0
    for _ in range(_MOST_MESSAGES):
        if position + _HEAD.size > len(data):
            return
        context, command, data_set = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        parts = data[position : position + command], data[position + command : position + command + data_set]
        position += command + data_set
        for kind, part in zip((pdu.COMMAND, 0), parts, strict=True):
            if part or kind:
                for buffers in pdu.p_data(2 * (context % len(_CLASSES)) + 1, kind, [part], 16384):
                    yield b"".join(buffers)


# --- STOW-RS ---


def stow(data: bytes) -> None:
    """A body, of the kind and in the pieces that its first byte says."""
    if not data:
        return
    archive, root, step = _ARCHIVES.one(), _ROOTS[data[0] & 3], 1 + (data[0] >> 2) * 8
    content_type = f'multipart/related; type="{root}"; boundary={bodies.BOUNDARY}'
    with associations.faults() as found:
        try:
            taker = begin_store(
                archive, Asked({}, "", {"content-type": content_type}, "http://localhost/dicom-web")
            )
        except ArchiveError:
            return
        try:
            for start in range(1, len(data), step):
                if not taker.feed(data[start : start + step]):
                    break
            answer = taker.finish()
        finally:
            taker.close()
    assert answer.status in _STATUSES, answer.status
    assert not found, found
    assert not list((archive.settings.data / "spool").iterdir()), "something is left in the spool"


# --- seeds ---


def dimse_seeds() -> list[bytes]:
    """A request of every service, and a few together."""
    made = [_message(*one) for one in _requests()]
    return [*made, made[1] + made[2] + made[4], made[7] + made[8], made[9] + made[10] + made[11]]


def _message(number: int, request: Any, data_set: bytes) -> bytes:
    command = encode_command(request, bool(data_set))
    return _HEAD.pack(number, len(command), len(data_set)) + command + data_set


def _requests() -> list[tuple[int, Any, bytes]]:
    one = {"AffectedSOPClassUID": seeds.SECONDARY_CAPTURE, "AffectedSOPInstanceUID": "1.2.3"}
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID, asked.PatientName = "STUDY", "1.2.4", "P*"
    listed = Dataset()
    step = Dataset()
    step.Modality, step.ScheduledProcedureStepStartDate = "CT", "20260101-"
    listed.PatientName, listed.ScheduledProcedureStepSequence = "", [step]
    return [
        (_ECHO, _request(C_ECHO, _ECHO), b""),
        (
            _STORE,
            request_of(C_STORE, MessageID=1, Priority=0, **one),
            seeds.encoded(seeds.image(), seeds.EXPLICIT),
        ),
        (_FIND, _request(C_FIND, _FIND), _bytes(asked, _FIND)),
        (_MOVE, _request(C_MOVE, _MOVE, MoveDestination="NOBODY"), _bytes(asked, _MOVE)),
        (_GET, _request(C_GET, _GET), _bytes(asked, _GET)),
        (
            _COMMIT,
            _normal(N_ACTION, _COMMIT, "1.2.840.10008.1.20.1.1", ActionTypeID=1),
            _bytes(_commitment(), _COMMIT),
        ),
        (_WORKLIST, _request(C_FIND, _WORKLIST), _bytes(listed, _WORKLIST)),
        (_MPPS, _request(N_CREATE, _MPPS, AffectedSOPInstanceUID="1.2.7"), _bytes(_performed(), _MPPS)),
        (_MPPS, _normal(N_SET, _MPPS, "1.2.7"), _bytes(_ended(), _MPPS)),
        (_PUSH, _request(N_CREATE, _PUSH, AffectedSOPInstanceUID="1.2.8"), _bytes(_workitem(), _PUSH)),
        (_PULL, _normal(N_ACTION, _PULL, "1.2.8", ActionTypeID=1), _bytes(_claim(), _PULL)),
        (_PULL, _normal(N_GET, _PULL, "1.2.8", AttributeIdentifierList=[0x00741000, 0x00404041]), b""),
        (_RECORDS, _request(C_FIND, _RECORDS), _bytes(asked, _RECORDS)),
    ]


def _request(kind: type[Any], number: int, **values: Any) -> Any:
    return request_of(kind, MessageID=1, Priority=0, AffectedSOPClassUID=_CLASSES[number], **values)


def _normal(kind: type[Any], number: int, uid: str, **values: Any) -> Any:
    return request_of(
        kind, MessageID=2, RequestedSOPClassUID=_CLASSES[number], RequestedSOPInstanceUID=uid, **values
    )


def _bytes(made: Dataset, number: int) -> bytes:
    """In the transfer syntax of the context."""
    made = Dataset(made)
    made.SOPClassUID, made.SOPInstanceUID = seeds.SECONDARY_CAPTURE, "1.2.3"
    whole = seeds.encoded(made, _syntax(number))
    identity = Dataset()
    identity.SOPClassUID, identity.SOPInstanceUID = made.SOPClassUID, made.SOPInstanceUID
    return whole.replace(seeds.encoded(identity, _syntax(number)), b"")


def _commitment() -> Dataset:
    made, item = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = seeds.SECONDARY_CAPTURE, "1.2.3"
    made.TransactionUID, made.ReferencedSOPSequence = "1.2.9", [item]
    return made


def _performed() -> Dataset:
    made, step = Dataset(), Dataset()
    step.StudyInstanceUID, step.ScheduledProcedureStepID, step.RequestedProcedureID = "1.2.4", "1", "2"
    step.AccessionNumber = step.ScheduledProcedureStepDescription = ""
    made.ScheduledStepAttributesSequence = [step]
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = "Plover", "1", "", "O"
    made.PerformedProcedureStepID, made.PerformedStationAETitle = "1", "FUZZ"
    made.PerformedProcedureStepStartDate, made.PerformedProcedureStepStartTime = "20260101", "1000"
    made.PerformedProcedureStepStatus, made.Modality, made.StudyID = "IN PROGRESS", "CT", "1"
    made.PerformedSeriesSequence = []
    return made


def _ended() -> Dataset:
    made = Dataset()
    made.PerformedProcedureStepStatus = "COMPLETED"
    made.PerformedProcedureStepEndDate, made.PerformedProcedureStepEndTime = "20260101", "1100"
    return made


def _workitem() -> Dataset:
    made = Dataset()
    made.ProcedureStepState, made.ScheduledProcedureStepPriority = "SCHEDULED", "MEDIUM"
    made.ProcedureStepLabel, made.WorklistLabel = "Read", "READING"
    made.ScheduledProcedureStepStartDateTime = made.ScheduledProcedureStepModificationDateTime = "20260101"
    made.InputReadinessState, made.PatientName, made.PatientID = "READY", "Plover", "1"
    made.PatientBirthDate, made.PatientSex, made.AdmissionID = "", "", ""
    return made


def _claim() -> Dataset:
    made = Dataset()
    made.ProcedureStepState, made.TransactionUID = "IN PROGRESS", "1.2.10"
    return made


def stow_seeds() -> list[bytes]:
    """Files, and metadata with bulk data."""
    file = seeds.file(seeds.image(), seeds.EXPLICIT)
    model = bodies.json_seeds()[2][1:].replace(b"bulkdata/7FE00010", b"a")
    xml = bodies.xml_seeds()[2][1:].replace(b"bulkdata/7FE00010", b"a")
    octets = ("application/octet-stream", "a", bytes(16))
    return [
        b"\x40" + _related(("application/dicom", "", file), ("application/dicom", "", file[:200])),
        b"\x41" + _related(("application/dicom+json", "", model), octets),
        b"\x42" + _related(("application/dicom+xml", "", xml), octets),
        b"\x41"
        + _related(
            ("application/dicom+json", "", model), ("image/jpeg", "a", b"\xff\xd8\xff\xe0" + bytes(40))
        ),
    ]


def _related(*parts: tuple[str, str, bytes]) -> bytes:
    whole = b""
    for media_type, location, content in parts:
        head = f"--{bodies.BOUNDARY}\r\nContent-Type: {media_type}\r\n"
        head += f"Content-Location: {location}\r\n" if location else ""
        whole += f"{head}\r\n".encode() + content + b"\r\n"
    return whole + f"--{bodies.BOUNDARY}--\r\n".encode()
