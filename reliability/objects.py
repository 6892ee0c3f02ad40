"""What is sent: synthetic objects of three sizes, each with pixels of its own, so that mixed-up bytes are noticed.

Everything in an object is made from its name and number, so it can be made again instead of being kept.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from pydicom.uid import CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage

from benchmarks.synthetic import headers
from benchmarks.synthetic.headers import uid
from benchmarks.synthetic.objects import SLOTS
from benchmarks.synthetic.template import Template, file_head, template

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
SOP_CLASSES = tuple(map(str, (SecondaryCaptureImageStorage, MRImageStorage, CTImageStorage)))
_PIXELS = {SOP_CLASSES[0]: 32 * 32 * 2, SOP_CLASSES[1]: 128 * 128 * 2, SOP_CLASSES[2]: 512 * 512 * 2}

_SIZES = (0, 0, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 2)
"""Of sixteen that follow each other half are small, and one is a CT slice of half a megabyte."""


@dataclass(frozen=True, slots=True)
class Object:
    """One instance as it is sent: an encoded data set in Explicit VR Little Endian, without File Meta Information."""

    SOPClassUID: str
    SOPInstanceUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str
    data_set: bytes

    @property
    def file(self) -> bytes:
        """The same as PS3.10 file."""
        return file_head(self.SOPClassUID, self.SOPInstanceUID) + self.data_set


def made(name: str, number: int, per_study: int = 16, content: str = "") -> Object:
    """Object `number` of those of this name; `per_study` of them that follow each other are one study, of two series.
    With another `content` it is the same instance with other pixels."""
    study, place = divmod(number, per_study)
    SOPClassUID = SOP_CLASSES[_SIZES[place % len(_SIZES)]]
    values = dict.fromkeys(SLOTS, "1") | {
        "SOPInstanceUID": uid(name, number),
        "StudyInstanceUID": uid(name, "study", study),
        "SeriesInstanceUID": uid(name, "series", study, place % 2),
        "PatientID": f"R-{hashlib.sha256(f'{name}/{study}'.encode()).hexdigest()[:16]}",
        "PatientName": "Phantom^Paul",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "StudyDate": "20240311",
        "StudyTime": "101530",
        "Modality": "OT",
        "InstanceNumber": str(place + 1),
        "SeriesNumber": str(place % 2 + 1),
    }
    pixels = hashlib.shake_128(f"{name}/{number}/{content}".encode()).digest(_PIXELS[SOPClassUID])
    data_set = _template(SOPClassUID).data_set(values, pixels)
    return Object(
        SOPClassUID,
        values["SOPInstanceUID"],
        values["SeriesInstanceUID"],
        values["StudyInstanceUID"],
        data_set,
    )


@functools.cache
def _template(SOPClassUID: str) -> Template:
    header = {SOP_CLASSES[1]: headers.mr, SOP_CLASSES[2]: headers.ct}.get(SOPClassUID)
    return template(header() if header else headers.small(SOPClassUID), SLOTS)
