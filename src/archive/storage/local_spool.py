"""What is needed for a while and is nobody's blob, in local files."""

from __future__ import annotations

import os
from collections.abc import Iterator

from archive.dicom.errors import OutOfResources
from archive.storage.local_blob import PIECE_SIZE
from archive.storage.local_room import ROOM_CHECK_INTERVAL, Room, writing

Piece = bytes | bytearray | memoryview


class LocalSpool:
    """A file without a name: however this process ends, the system takes it back."""

    def __init__(self, room: Room, descriptor: int) -> None:
        self._room = room
        self._descriptor = descriptor
        self._length = 0
        self._until_room_check = ROOM_CHECK_INTERVAL

    @property
    def length(self) -> int:
        return self._length

    def write(self, piece: Piece) -> None:
        self._until_room_check -= len(piece)
        if self._until_room_check < 0:
            self._until_room_check = ROOM_CHECK_INTERVAL
            self._room.check()
        with writing("the spool cannot be written"), memoryview(piece) as view:
            written = 0
            while written < len(view):
                written += os.pwrite(self._descriptor, view[written:], self._length + written)
        self._length += len(piece)

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        end = offset + length
        while offset < end:
            with writing("the spool cannot be read"):
                piece = os.pread(self._descriptor, min(PIECE_SIZE, end - offset), offset)
            if not piece:
                raise OutOfResources("the spool is shorter than what was written to it")
            yield piece
            offset += len(piece)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
