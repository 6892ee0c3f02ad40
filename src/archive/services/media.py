"""Objects as they go on media: in which transfer syntax, and the bytes of their files.

IHE PDI (RAD TF-2 4.47) wants the application profile STD-GEN-CD of PS3.11, which has Explicit VR Little Endian alone,
and every reader of media knows it. The profiles for DVD and USB have compressed pixel data too, which takes less room.
What is native is in Explicit VR Little Endian in both. What cannot be had so goes as it is stored: a file that some
readers refuse is better than one that is not there.

The data set of a file that goes as it is stored is untouched; its File Meta Information is written anew, as that of a
received file may name another instance than its data set (PS3.10 7.1), and readers of media compare it with the
directory.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator

from archive.dicom import part10
from archive.dicom.errors import NotFound
from archive.dicom.instance import StoredInstance
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from archive.services.delivery import Delivery
from archive.services.explicit import NATIVE
from archive.services.retrieve import Retrieve


class Form(enum.Enum):
    """The transfer syntaxes of a file-set."""

    EXPLICIT = "explicit"
    COMPRESSED = "compressed"
    STORED = "stored"


class Media:
    """Gives the files of a medium."""

    def __init__(self, retrieve: Retrieve, delivery: Delivery) -> None:
        self._retrieve = retrieve
        self._delivery = delivery

    def transfer_syntaxes(self, instance: StoredInstance, form: Form) -> tuple[str, ...]:
        """Those in which the instance may go, the best one first. The last one is always to be had."""
        uid = instance.transfer_syntax_uid
        if form is Form.EXPLICIT or (form is Form.COMPRESSED and uid in NATIVE):
            return tuple(dict.fromkeys((EXPLICIT_VR_LITTLE_ENDIAN, uid)))
        return (uid,)

    def file(self, instance: StoredInstance, transfer_syntax_uid: str) -> Iterator[bytes]:
        """The PS3.10 file. Raises NotFound, and in any place NotAcceptable, CannotRender or CannotUnderstand where it
        cannot be had in this transfer syntax."""
        if transfer_syntax_uid == instance.transfer_syntax_uid:
            yield part10.file_meta(instance.SOPClassUID, instance.SOPInstanceUID, transfer_syntax_uid)
            with self._retrieve.open(instance) as blob:
                yield from blob.pieces(instance.data_set_offset, instance.data_set_length)
            return
        readable = self._delivery.explicit(instance)
        readable.make_sure()
        yield from readable.read(0, readable.length)

    def check(self, instance: StoredInstance) -> None:
        """Raises NotFound when the stored bytes are not those that came in."""
        digest = hashlib.sha256()
        with self._retrieve.open(instance) as blob:
            for piece in blob.pieces(instance.data_set_offset, instance.data_set_length):
                digest.update(piece)
        if digest.hexdigest() != instance.sha256:
            raise NotFound("the stored bytes of this instance were damaged: restore them from a backup")
