"""Which presentation contexts are proposed to a receiver: what is stored, what everyone takes, what may be made.

Each transfer syntax that objects of a class are stored in gets a context of its own, and so does each uncompressed one,
so that the receiver's answer says all that it takes before the first byte is sent (PS3.8 9.3.3.2: it chooses one of
each context). One more context has what objects can be compressed to, for a receiver that takes nothing else.

The order of contexts means nothing (PS3.8 9.3.2.2), but GDCM's receiver reads every data set of an association as the
last context says. So what is most likely to be sent comes last: the form as stored, or the one that is preferred.

An association has room for 128 contexts (PS3.8 9.3.2.2): more of them mean several associations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from archive.dicom.instance import StoredInstance
from archive.dicom.pixels.encoders import LOSSLESS
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

MAXIMUM_CONTEXTS = 128

Proposed = tuple[str, tuple[str, ...]]
"""Abstract syntax and transfer syntaxes of one context."""


@dataclass(slots=True)
class Batch:
    """Instances that can go over the same association, and the contexts that it needs."""

    contexts: dict[Proposed, None] = field(default_factory=dict)
    waiting: deque[StoredInstance] = field(default_factory=deque)


def batches(instances: Iterable[StoredInstance], preferred: str = "") -> list[Batch]:
    """The instances with the contexts they need, as few associations as possible, otherwise in their order.
    `preferred` is the transfer syntax that the receiver is known to like best."""
    by_pair: dict[tuple[str, str], Batch] = {}
    filled: list[Batch] = []
    for instance in instances:
        pair = instance.SOPClassUID, instance.transfer_syntax_uid
        if pair not in by_pair:
            by_pair[pair] = _with_room(filled, _wanted(*pair, preferred))
        by_pair[pair].waiting.append(instance)
    return filled


def _wanted(sop_class_uid: str, stored: str, preferred: str) -> Sequence[Proposed]:
    single = dict.fromkeys(
        uid for uid in (preferred, stored, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN) if uid
    )
    return [(sop_class_uid, LOSSLESS), *((sop_class_uid, (uid,)) for uid in reversed(single))]


def _with_room(filled: list[Batch], wanted: Sequence[Proposed]) -> Batch:
    """The last batch if the contexts find room in it, else a new one."""
    if not filled or len(filled[-1].contexts | dict.fromkeys(wanted)) > MAXIMUM_CONTEXTS:
        filled.append(Batch())
    filled[-1].contexts.update(dict.fromkeys(wanted))
    return filled[-1]
