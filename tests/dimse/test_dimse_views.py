"""What an AE title may not see does not exist for it: C-FIND at all levels, C-MOVE, C-GET and storage commitment, each
of a study that it sees and of one that it does not."""

from __future__ import annotations

import time

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import build_role, evt
from pynetdicom.association import Association

from archive.dimse.server import HANDLERS
from archive.security.operations import Operation
from archive.security.rules import Rules
from archive.services.ae_titles import FRESH_SECONDS
from committing import ask, report, run_jobs, until
from door import Door, keep
from identifiers import data_set
from objects import new_uid, secondary_capture
from receivers import receiver
from report_receivers import action, committed, failed, listening

FIND, PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.1.1"
MOVE, GET = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"
SC = (SecondaryCaptureImageStorage, [ExplicitVRLittleEndian])
SEES = ("institution=St. Mary*",)
OF_OBJECTS = {Operation.FIND, Operation.MOVE, Operation.GET, Operation.COMMIT}
NOT_OF_OBJECTS = {Operation.ECHO, Operation.STORE, Operation.WORKLIST, Operation.MPPS, Operation.UPS}
"""Which show nothing of what is stored; an AE may be refused each of them."""


def filled(
    door: Door, title: str = "READER", port: int = 104, see: tuple[str, ...] = SEES
) -> tuple[Dataset, Dataset]:
    """A study that the title sees, and one that it does not, of the same patient."""
    made = secondary_capture(InstitutionName="St. Mary", PatientID="P1")
    hidden = secondary_capture(InstitutionName="Holy Cross", PatientID="P1")
    keep(door, made, hidden)
    door.archive.ae_titles.add(title, "127.0.0.1", port, Rules(see=see))
    return made, hidden


def sent(association: Association, made: Dataset) -> int:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return int(association.send_c_store(made).Status)


def test_each_service_is_in_the_matrix() -> None:
    assert set(HANDLERS) == OF_OBJECTS | NOT_OF_OBJECTS


@pytest.mark.parametrize(
    ("root", "level", "unique"),
    [
        (PATIENT_FIND, "PATIENT", "NumberOfPatientRelatedStudies"),
        (FIND, "STUDY", "StudyInstanceUID"),
        (FIND, "SERIES", "SeriesInstanceUID"),
        (FIND, "IMAGE", "SOPInstanceUID"),
    ],
)
def test_find(door: Door, root: str, level: str, unique: str) -> None:
    made, hidden = filled(door)
    above = {
        "PATIENT": {},
        "STUDY": {},
        "SERIES": {"StudyInstanceUID": ""},
        "IMAGE": {"StudyInstanceUID": ""},
    }[level]

    def found(title: str, **keys: str) -> list[str]:
        association = door.associate([(root, [ImplicitVRLittleEndian])], ae_title=title)
        asked = data_set(level, **{"PatientID": "P1", **above, unique: "", **keys})
        answers = [str(one[unique].value) for _, one in association.send_c_find(asked, root) if one]
        association.release()
        return sorted(answers)

    if level == "PATIENT":
        assert (found("READER"), found("OTHER")) == (["1"], ["2"])
        return
    assert found("READER") == [str(made[unique].value)]
    assert found("OTHER") == sorted(str(one[unique].value) for one in (made, hidden))
    assert found("READER", **{unique: str(hidden[unique].value)}) == []


def test_move(door: Door) -> None:
    made, hidden = filled(door)
    with receiver([SC]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        association = door.associate([(MOVE, [ImplicitVRLittleEndian])], ae_title="READER")
        finals = []
        for uids in (
            [hidden.StudyInstanceUID],
            [new_uid()],
            [hidden.StudyInstanceUID, made.StudyInstanceUID],
        ):
            asked = data_set("STUDY", StudyInstanceUID=uids)
            finals.append(list(association.send_c_move(asked, "RECEIVER", MOVE))[-1][0])
        association.release()
    assert finals[0] == finals[1], "hidden is as never stored"
    assert [one.NumberOfCompletedSuboperations for one in finals] == [0, 0, 1]
    assert [one.NumberOfFailedSuboperations for one in finals] == [0, 0, 0]
    assert list(received.by_uid) == [made.SOPInstanceUID]


def test_get(door: Door) -> None:
    made, hidden = filled(door)
    came: list[str] = []

    def on_store(event: evt.Event) -> int:
        came.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    association = door.associate(
        [(GET, [ExplicitVRLittleEndian]), SC],
        ae_title="READER",
        ext_neg=[build_role(SecondaryCaptureImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, on_store)],
    )
    for one in (hidden, made):
        asked = data_set("IMAGE", SOPInstanceUID=one.SOPInstanceUID)
        list(association.send_c_get(asked, GET))
    association.release()
    assert came == [made.SOPInstanceUID]


def test_commitment(door: Door, hurry: None) -> None:
    """What it does not see is no such object instance, but for what it has sent itself."""
    with listening() as told:
        made, hidden = filled(door, "MODALITY", told.port)
        association = door.associate([SC], ae_title="MODALITY")
        own = secondary_capture(InstitutionName="Holy Cross")
        assert sent(association, own) == 0
        association.release()
        asked = [(one.SOPClassUID, one.SOPInstanceUID) for one in (made, hidden, own)]
        assert ask(door, action(new_uid(), *asked)) == 0
        until(lambda: not report(door).held_until)
        run_jobs(door, time.time() + 120)
    [(_, information, _)] = told.reports
    assert sorted(committed(information)) == sorted([made.SOPInstanceUID, own.SOPInstanceUID])
    assert failed(information) == {hidden.SOPInstanceUID: 0x0112}


def test_a_change_holds_within_an_association(door: Door) -> None:
    made, hidden = filled(door, see=())
    association = door.associate([(FIND, [ImplicitVRLittleEndian])], ae_title="READER")

    def found() -> int:
        asked = data_set("STUDY", StudyInstanceUID=[made.StudyInstanceUID, hidden.StudyInstanceUID])
        return sum(one is not None for _, one in association.send_c_find(asked, FIND))

    assert found() == 2
    door.archive.ae_titles.add("READER", "127.0.0.1", 104, Rules(see=SEES))
    time.sleep(FRESH_SECONDS + 0.1)
    assert found() == 1
    association.release()


def test_what_a_modality_sends_is_not_refused_for_what_it_sees(door: Door) -> None:
    _, hidden = filled(door)
    association = door.associate([SC], ae_title="READER")
    more = secondary_capture(
        StudyInstanceUID=hidden.StudyInstanceUID, InstitutionName="Holy Cross", PatientID="P1"
    )
    assert sent(association, more) == 0
    association.release()
