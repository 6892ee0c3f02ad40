"""Studies to search among: each made from its number alone, so questions can be made the same way.

Two studies to a patient, 4,062 days, five modalities, some 200 family and 100 given names.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.synthetic.headers import uid
from benchmarks.synthetic.objects import SOP_CLASSES, small_file

FIRST_DAY = datetime.date(2014, 1, 1)
DAYS = 4062

_FAMILY_STARTS = (
    "Ander Berg Carl Dahl Eriks Fischer Gruber Hans Ivers Jacob "
    "Kowal Lind Martin Nor Olsen Peters Rich Sand Thom Wagn"
)
_FAMILY_ENDS = "son sen man berg ström feld stein ski ez er"
_GIVEN = (
    "Ada Alan Anna Ben Bo Carl Clara Dana David Ella Emil Erik Eva Finn Frida Georg Gina Hanna Hugo Ida Ines Ivan "
    "Jana Jens Jonas Julia Karin Karl Lara Lea Leo Lina Lukas Maja Maria Mark Marta Max Mia Milan Nina Noah Nora Olga "
    "Oscar Otto Paul Paula Pia Rita Robert Rosa Ruth Sara Simon Sofia Stefan Tara Theo Tom Ute Vera Viktor Wanda Yara"
)
FAMILIES = tuple(start + end for start in _FAMILY_STARTS.split() for end in _FAMILY_ENDS.split())
GIVEN = tuple(_GIVEN.split())
MODALITIES = tuple(SOP_CLASSES)
_DESCRIPTIONS = ("Thorax", "Abdomen", "Head", "Knee left", "Spine", "Pelvis", "Follow-up", "Screening")


def _number(*names: object) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, names)).encode()).digest()[:6], "big")


@dataclass(frozen=True, slots=True)
class Population:
    """`count` studies of one instance each."""

    count: int

    def values(self, number: int) -> dict[str, str]:
        """The attributes of one study."""
        patient = number // 2
        day = FIRST_DAY + datetime.timedelta(days=_number("day", number) % DAYS)
        second = _number("second", number) % 86400
        family = FAMILIES[_number("family", patient) % len(FAMILIES)]
        given = GIVEN[_number("given", patient) % len(GIVEN)]
        return {
            "SOPInstanceUID": uid("population", number, "instance"),
            "StudyDate": day.strftime("%Y%m%d"),
            "StudyTime": f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}",
            "AccessionNumber": self.AccessionNumber(number),
            "Modality": MODALITIES[_number("modality", number) % len(MODALITIES)],
            "ReferringPhysicianName": f"{FAMILIES[_number('referrer', number) % 40]}^Dr",
            "StudyDescription": _DESCRIPTIONS[_number("description", number) % len(_DESCRIPTIONS)],
            "PatientName": f"{family}^{given}",
            "PatientID": self.PatientID(number),
            "PatientBirthDate": f"{1930 + _number('birth', patient) % 80}0{1 + patient % 9}15",
            "PatientSex": "FMO"[_number("sex", patient) % 3],
            "StudyInstanceUID": self.StudyInstanceUID(number),
            "SeriesInstanceUID": uid("population", number, "series"),
            "StudyID": str(number % 10000),
            "SeriesNumber": "1",
            "InstanceNumber": "1",
        }

    def AccessionNumber(self, number: int) -> str:
        """Of one study."""
        return f"ACC{number:09}"

    def PatientID(self, number: int) -> str:
        """Of the patient of one study."""
        return f"PID{number // 2:08}"

    def StudyInstanceUID(self, number: int) -> str:
        """Of one study."""
        return uid("population", number, "study")

    def file(self, number: int) -> bytes:
        """The object of one study as PS3.10 file."""
        return small_file(self.values(number))

    def files(self, first: int, last: int) -> Iterator[bytes]:
        """Those of the studies from `first` to before `last`."""
        return map(self.file, range(first, last))
