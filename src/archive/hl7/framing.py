"""The Minimal Lower Layer Protocol (HL7 v2 Implementation Guide, appendix C): <SB> message <EB> <CR>.

What stands between two messages is skipped as long as it is blank. Anything else there means that the two ends do not
speak of the same thing, and a message could be taken for half of another.
"""

from __future__ import annotations

from collections.abc import Iterator

from archive.dicom.errors import CannotUnderstand, ObjectTooLarge

START, END, RETURN = b"\x0b", b"\x1c", b"\r"
_BLANK = b"\r\n\t \0"


def framed(message: bytes) -> bytes:
    """The message as it is sent."""
    return START + message + END + RETURN


class Frames:
    """Takes the bytes of a connection in pieces of any size."""

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum_bytes = maximum_bytes
        self._held = bytearray()
        self._searched = 0

    @property
    def within(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._held)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The messages that are complete now. Raises CannotUnderstand for bytes that are no frame, ObjectTooLarge."""
        self._held += piece
        while True:
            if not self._begin():
                return
            end = self._held.find(END + RETURN, max(1, self._searched - 1))
            if end < 0:
                self._searched = len(self._held)
                if len(self._held) > self._maximum_bytes:
                    raise ObjectTooLarge(f"a message of more than {self._maximum_bytes} bytes")
                return
            message = bytes(self._held[1:end])
            if START in message or END in message:
                # The end of one message was lost: its patient would be taken for that of the next.
                raise CannotUnderstand("a message holds 0B or 1C: it is two messages, or half of one")
            del self._held[: end + 2]
            self._searched = 0
            yield message

    def _begin(self) -> bool:
        """Leave out what is blank before a message; False when none has begun."""
        if not self._held.startswith(START):
            rest = self._held.lstrip(_BLANK)
            if rest and not rest.startswith(START):
                raise CannotUnderstand("the bytes are no MLLP: a message begins with 0B and ends with 1C 0D")
            self._held = rest
        return bool(self._held)
