"""What is said about an object on its way in: by its sender beforehand, and to its sender in the end."""

from __future__ import annotations

from dataclasses import dataclass

from archive.dicom.errors import ObjectMismatch
from archive.dicom.instance import Instance

COERCED = 0xB000
"""Warning status and Warning Reason: Coercion of Data Elements (PS3.4 table B.2-1, PS3.18 table I.2-1)."""

COERCED_REMARK = "coercion of data elements: see OriginalAttributesSequence"
KEPT_ASIDE = "kept aside as conflict {}, not shown: ask the administrator"
KEPT_FOR_NOTE = "kept aside, not shown: rejection note {} was here before it"

SOP_INSTANCE_UID = 0x00080018


def kept_aside_remark(by_note: bool, number: int) -> str:
    """What the sender of an object that is kept aside is told."""
    return (KEPT_FOR_NOTE if by_note else KEPT_ASIDE).format(number)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An object that is safe. `already_there`: the same bytes were stored before, and nothing was written now.
    `warning`: the status (PS3.4 table B.2-1) or Warning Reason (PS3.18 table I.2-1) that the sender is to hear, 0 for
    none; `remark` says it in words, and `offending` are the tags of the elements that it is about. `conflict_id` is the
    number of the record where the object was `kept_aside`, and is not found under its UIDs, or has taken the place of
    another one. `hidden`: it is a rejection note, and is kept where nobody finds it. `for_note`: it is kept
    aside as a rejection note was here before it, and that is what has the number."""

    SOPClassUID: str
    SOPInstanceUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str
    already_there: bool
    warning: int = 0
    remark: str = ""
    offending: tuple[int, ...] = ()
    conflict_id: int = 0
    kept_aside: bool = False
    hidden: bool = False
    for_note: bool = False

    @property
    def is_shown(self) -> bool:
        """Whether it is found under its UIDs."""
        return not (self.kept_aside or self.hidden)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the sender said the object is; an empty string says nothing."""

    SOPClassUID: str = ""
    SOPInstanceUID: str = ""
    StudyInstanceUID: str = ""

    def compare(self, instance: Instance) -> None:
        """The data set must be what the sender said (PS3.4 B.2.3: A900). Raises ObjectMismatch."""
        for keyword, tag in _COMPARED:
            expected = getattr(self, keyword)
            if expected and expected != getattr(instance, keyword):
                raise ObjectMismatch(f"{keyword} of the data set is not that of the request", tag=tag)


_COMPARED = (("SOPClassUID", 0x00080016), ("SOPInstanceUID", 0x00080018), ("StudyInstanceUID", 0x0020000D))
