"""What is negotiated: every storage SOP class in every transfer syntax, our services, and nothing else."""

from __future__ import annotations

import pydicom.uid
import pytest
from pydicom._uid_dict import UID_dictionary
from pynetdicom import sop_class

from archive.dicom.sop_classes import is_storage
from archive.dimse.contexts import SERVICES, choose, service
from archive.security.operations import Operation

EXPLICIT, IMPLICIT = pydicom.uid.ExplicitVRLittleEndian, pydicom.uid.ImplicitVRLittleEndian
JPEG, JPEG_2000 = pydicom.uid.JPEGBaseline8Bit, pydicom.uid.JPEG2000Lossless
PRIVATE = "1.2.840.113619.4.30"


@pytest.mark.parametrize("uid", sorted(sop_class._STORAGE_CLASSES.values()))
def test_every_storage_class_is_storage(uid: str) -> None:
    assert is_storage(uid)


@pytest.mark.parametrize(
    "group",
    [
        "_BASIC_WORKLIST_CLASSES",
        "_PROCEDURE_STEP_CLASSES",
        "_PRINT_MANAGEMENT_CLASSES",
        "_STORAGE_COMMITMENT_CLASSES",
        "_UNIFIED_PROCEDURE_STEP_CLASSES",
        "_INSTANCE_AVAILABILITY_CLASSES",
        "_MEDIA_STORAGE_CLASSES",
        "_MEDIA_CREATION_CLASSES",
        "_NON_PATIENT_OBJECT_CLASSES",
        "_HANGING_PROTOCOL_CLASSES",
        "_INVENTORY_CLASSES",
        "_RELEVANT_PATIENT_QUERY_CLASSES",
        "_DISPLAY_SYSTEM_CLASSES",
    ],
)
def test_other_services_are_refused(group: str) -> None:
    for uid in set(getattr(sop_class, group).values()) - set(SERVICES):
        assert service(uid) is None, uid
        assert choose(uid, (EXPLICIT, IMPLICIT)) is None


def test_a_uid_that_is_no_sop_class_is_refused() -> None:
    kinds = {"Transfer Syntax", "Coding Scheme", "Well-known SOP Instance", "Application Context Name"}
    for uid, (_, kind, *_rest) in UID_dictionary.items():
        if kind in kinds:
            assert not is_storage(uid), uid


@pytest.mark.parametrize(
    "uid",
    [
        PRIVATE,
        "1.2.840.10008.5.1.4.1.1.4711",  # the standard of another day
        "1.2.840.10008.5.1.4.1.1.5",  # Nuclear Medicine, retired
        "1.2.840.10008.5.1.1.30",  # Hardcopy Color, retired
    ],
)
def test_private_future_and_retired_storage_is_taken(uid: str) -> None:
    assert service(uid).operation is Operation.STORE  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((IMPLICIT, EXPLICIT), EXPLICIT),
        ((JPEG, IMPLICIT), JPEG),
        ((IMPLICIT, JPEG), IMPLICIT),
        ((pydicom.uid.ExplicitVRBigEndian, IMPLICIT, EXPLICIT), EXPLICIT),
        ((JPEG_2000, JPEG), JPEG_2000),
        ((PRIVATE, JPEG), JPEG),
        ((PRIVATE,), PRIVATE),
        ((), ""),
    ],
)
def test_transfer_syntax_of_storage(offered: tuple[str, ...], chosen: str) -> None:
    assert choose(pydicom.uid.CTImageStorage, offered) == chosen


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((JPEG, EXPLICIT, IMPLICIT), JPEG),
        ((pydicom.uid.ExplicitVRBigEndian, EXPLICIT), pydicom.uid.ExplicitVRBigEndian),
        ((IMPLICIT, EXPLICIT, JPEG), EXPLICIT),
        ((IMPLICIT, JPEG), IMPLICIT),
        ((EXPLICIT, JPEG), EXPLICIT),
        ((), ""),
    ],
)
def test_a_requestor_that_gets_names_first_what_it_prefers(offered: tuple[str, ...], chosen: str) -> None:
    assert choose(pydicom.uid.CTImageStorage, offered, as_scu=True) == chosen


@pytest.mark.parametrize("uid", SERVICES)
def test_services_speak_little_endian_only(uid: str) -> None:
    assert choose(uid, (JPEG, IMPLICIT, EXPLICIT)) == EXPLICIT
    assert choose(uid, (IMPLICIT,)) == IMPLICIT
    assert choose(uid, (pydicom.uid.ExplicitVRBigEndian, JPEG)) == ""
