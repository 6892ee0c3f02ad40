"""Objects from elsewhere that are to be of a patient and an order of ours (IHE Import Reconciliation Workflow, IRWF.b):
what they said before stays in their Original Attributes Sequence (PS3.3 C.12.1.1.9).

One patient's values are written into all objects, so only objects of the patient they were meant for are taken: what
says another patient than was agreed to is refused, whatever a look at the medium had found before.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from archive.dicom.demographics import ISSUER, PATIENT_ID, SEQUENCES_OF_ID, compared, tag_of
from archive.dicom.errors import ObjectMismatch
from archive.dicom.instance import Instance, Scope
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.writing.coercion import Circumstances
from archive.services import correcting
from archive.services.coercing import Coercions
from archive.services.correcting import Rewriting, text_of
from archive.services.ingest import Ingest
from archive.services.retrieve import Retrieve
from archive.services.shaping import Received, Shape, Written

NAME, BIRTH_DATE, SEX = "PatientName", "PatientBirthDate", "PatientSex"
STUDY = "StudyInstanceUID"
SAID = (PATIENT_ID, ISSUER, NAME, BIRTH_DATE, SEX, STUDY)
OF_ACCESSION = "IssuerOfAccessionNumberSequence"

_IDENTITY = (PATIENT_ID, ISSUER, NAME, BIRTH_DATE)


class LeftOut(ObjectMismatch):
    """An object of a patient or study that was not chosen."""


class OfAnother(ObjectMismatch):
    """An object of a patient that nobody agreed to."""


@dataclass(frozen=True, slots=True)
class Said:
    """Whose an object is, by itself."""

    PatientID: str = ""
    IssuerOfPatientID: str = ""
    PatientName: str = ""
    PatientBirthDate: str = ""
    PatientSex: str = ""
    StudyInstanceUID: str = ""

    def patient(self, unsure: Collection[int] = ()) -> tuple[str, ...]:
        """By what two patients on one medium are told apart: more than the ID, which strangers may have given twice.
        `unsure` are tags that do not count, as the archive coerces them in all objects."""
        keywords = (keyword for keyword in _IDENTITY if tag_of(keyword) not in unsure)
        return tuple(compared(keyword, getattr(self, keyword)) for keyword in keywords)


def _first(instance: Instance, keyword: str) -> str:
    element = instance.attributes.get(tag_of(keyword))
    return element.values[0] if element is not None and element.values else ""


def said_so_far(reader: DataSetReader) -> Said | None:
    """Whose an object is, once its reader has come so far."""
    if not reader.values(tag_of(STUDY)):
        return None
    return Said(*(next(iter(reader.values(tag_of(keyword))), "") for keyword in SAID))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the objects are taken, by what they say; nothing chosen means all."""

    patient_id: str = ""
    study_instance_uid: str = ""

    def takes(self, said: Said) -> bool:
        """Whether an object is one of them."""
        return self.patient_id in ("", said.PatientID) and self.study_instance_uid in (
            "",
            said.StudyInstanceUID,
        )


class Reconciling:
    """A shaper: objects that are chosen get these values, by keyword; an empty one takes a value away. `patients` are
    those who were agreed to. `source` says where the objects are from."""

    def __init__(
        self,
        values: Mapping[str, str],
        choice: Choice,
        patients: Collection[Said],
        coercions: Coercions,
        source: str = "",
    ) -> None:
        self.values = with_what_goes(values)
        self._choice = choice
        self._unsure = frozenset(one.tag for one in coercions.attributes)
        self._patients = frozenset(said.patient(self._unsure) for said in patients)
        self._modifying_system = coercions.modifying_system
        self._source = source

    def __call__(self, received: Received) -> Shape | None:
        """What the object is to become. Raises LeftOut, OfAnother, and InvalidValue where it cannot say the values."""
        instance = received.instance
        self._check(instance)
        if not self.values:
            return None
        moment = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%f%z")
        told = Circumstances(moment, self._modifying_system, self._source)
        one = Rewriting(
            received.stored, instance.metadata, instance.bulk_values, received.open, self.values, told
        )
        made = one.shape

        def check(written: Written) -> None:
            correcting.check(written.instance, self.values)

        return Shape(made.transfer_syntax_uid, made.pieces, made.coerced_tags, check=check)

    def _check(self, instance: Instance) -> None:
        said = Said(
            **{keyword: _first(instance, keyword) for keyword in SAID[:-1]},
            StudyInstanceUID=instance.StudyInstanceUID,
        )
        if not self._choice.takes(said):
            raise LeftOut("of a patient or study that was not chosen")
        if self.values and said.patient(self._unsure) not in self._patients:
            raise OfAnother("of another patient than the others here: import it by itself")

    def differs(self, retrieve: Retrieve, sop_instance_uid: str) -> bool:
        """Whether an instance that was stored before says something else. Raises NotFound."""
        instance = retrieve.instance(Scope(sop_instance_uids=(sop_instance_uid,)))
        says = retrieve.attributes(instance)
        return any(
            compared(keyword, text_of(says.get(f"{tag_of(keyword):08X}", {}))) != compared(keyword, value)
            for keyword, value in self.values.items()
        )


def with_what_goes(values: Mapping[str, str]) -> dict[str, str]:
    """The values with what must not stay beside them: an ID of ours has no issuer of theirs."""
    found = dict(values)
    if PATIENT_ID in found:
        found.setdefault(ISSUER, "")
        found |= dict.fromkeys(SEQUENCES_OF_ID, "")
    if "AccessionNumber" in found:
        found[OF_ACCESSION] = ""
    return found


def reconciled(ingest: Ingest, reconciling: Reconciling) -> Ingest:
    """The same way into the archive, for what is to be reconciled: before anything else is made of it."""
    other = copy.copy(ingest)
    other.shapers = (reconciling, *ingest.shapers)
    return other
