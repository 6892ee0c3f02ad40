"""Decoder processes, kept while they are used: the `Decoder` that the services are given.

A process is used again as long as all goes well, as to fork one takes as long as to decode a small frame. Pixels that
no codec has touched are read in this process: there is nothing in them that could lead anybody astray.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import structlog

from archive.decoding import turns, wire
from archive.decoding.nursery import Child, Order
from archive.decoding.turns import Turns
from archive.dicom.errors import CannotRender, OutOfResources
from archive.dicom.pixels import codecs
from archive.dicom.pixels.codecs import Decoded
from archive.dicom.pixels.decoder import HERE
from archive.dicom.pixels.native import NativeFrame, native_size
from archive.dicom.pixels.pixel_description import PixelDescription
from archive.settings.keeping import DecodingSettings

MOST = 4
"""Decoders at a time in one process. Each takes a core; more at a time would be no faster."""
PATIENCE = 4
"""Times the processor time that a frame may take, on a machine that has other things to do."""
AT_ONCE = 1.0
"""Seconds within which a decoder that had ended before it was asked is known to have."""

QUICK = 1.0
"""Seconds after which a frame has taken long: its decoder gives way and waits for its turn, so that those who store
keep their rate however many such frames are asked for."""
_LOOK = 0.02
"""Seconds between two looks whether it is a decoder's turn."""

_SPARE_BYTES = 64 << 20
_BYTES_PER_SAMPLE = 20
"""Twice what any decoder was measured to take: JPEG 2000 of 16 bits (`tests/decoding/test_large_frames.py`)."""
_BYTES_OF_FRAME = 4
"""For each that a frame has when it is compressed: it is copied."""
_KINDS = frozenset(("|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8"))
_LONGEST_REASON = 300
_of_description = attrgetter(*(field.name for field in dataclasses.fields(PixelDescription)))

Length = Callable[[Mapping[str, Any]], int]
"""How long the value of an answer has to be; -1 for an answer that is none."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of a decoder."""

    do: str
    frame: bytes
    description: PixelDescription
    transfer_syntax_uid: str

    def head(self, settings: DecodingSettings) -> dict[str, Any]:
        """As it is said on the wire, with what the frame may cost."""
        wanted = (
            _SPARE_BYTES + _BYTES_OF_FRAME * len(self.frame) + _BYTES_PER_SAMPLE * self.description.samples
        )
        return {
            "do": self.do,
            "syntax": self.transfer_syntax_uid,
            "description": _of_description(self.description),
            "memory": min(wanted, settings.memory_bytes),
            "seconds": settings.seconds,
        }


@dataclass(slots=True)
class _Child:
    """A decoder process, and the way to it."""

    process: Child
    turns: Turns
    patience: float
    """Seconds that a frame may take, and that it may wait for its turn."""
    is_held_back: bool = False

    @property
    def connection(self) -> socket.socket:
        """The way to it."""
        return self.process.connection

    def ask(self, head: Mapping[str, Any], frame: bytes, length: Length) -> tuple[dict[str, Any], bytes]:
        """The answer and the value that comes with it. Raises wire.Gone, OutOfResources."""
        wire.send(self.connection, head, frame)
        if wire.answers_within(self.connection, QUICK):
            answer = wire.receive_head(self.connection)
        else:
            self.is_held_back = True
            self.process.order(Order.HOLD_BACK)
            with self._turn():
                answer = wire.receive_head(self.connection)
        if answer["length"] != (0 if "refused" in answer else length(answer)):
            raise wire.Gone
        return answer, wire.receive_value(self.connection, answer)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        place = self.turns.take()
        if place is None:
            self.process.order(Order.PAUSE)
            place = self._awaited_place()
            self.process.order(Order.GO_ON)
        try:
            yield
        finally:
            self.turns.give_back(place)

    def _awaited_place(self) -> int:
        deadline = time.monotonic() + self.patience
        while (place := self.turns.take()) is None:
            if time.monotonic() > deadline:
                raise OutOfResources(
                    "more frames that take long to decode are asked for than can be decoded now: ask again later"
                )
            time.sleep(_LOOK)
        return place

    def end(self) -> None:
        """Whatever it is doing."""
        self.process.order(Order.END)
        self.connection.close()


class Decoders:
    """The decoders of one process. `new_child` may raise OutOfResources. Safe to use from several threads."""

    def __init__(
        self,
        settings: DecodingSettings,
        new_child: Callable[[], Child],
        turns_to_take: Turns = turns.OF_THIS_MACHINE,
    ) -> None:
        self._settings = settings
        self._new_child = new_child
        self._turns = turns_to_take
        self._places = threading.BoundedSemaphore(MOST)
        self._idle: list[_Child] = []
        self._process = os.getpid()

    def values(self, frame: bytes, description: PixelDescription, transfer_syntax_uid: str, /) -> Decoded:
        """The stored values of one frame. Raises CannotRender, OutOfResources."""
        if transfer_syntax_uid in codecs.PLAIN:
            return HERE.values(frame, description, transfer_syntax_uid)
        asked = _Asked("values", frame, description, transfer_syntax_uid)
        answer, value = self._answered(
            asked, lambda said: description.samples * _item_bytes(said.get("kind"))
        )
        return Decoded(np.frombuffer(value, answer["kind"]).reshape(description.shape), _colours(answer))

    def native(self, frame: bytes, description: PixelDescription, transfer_syntax_uid: str, /) -> NativeFrame:
        """One frame as native pixel data. Raises CannotRender, OutOfResources."""
        if transfer_syntax_uid in codecs.PLAIN:
            return HERE.native(frame, description, transfer_syntax_uid)
        asked = _Asked("native", frame, description, transfer_syntax_uid)
        length = native_size(description, transfer_syntax_uid).bytes_per_frame
        answer, value = self._answered(asked, lambda _: length)
        return NativeFrame(value, _colours(answer), int(answer.get("planar") == 1))

    def close(self) -> None:
        """Let those that have nothing to do go."""
        while self._idle:
            self._idle.pop().connection.close()

    def _answered(self, asked: _Asked, length: Length) -> tuple[dict[str, Any], bytes]:
        if asked.transfer_syntax_uid not in codecs.DECODERS:
            raise CannotRender(f"There is no decoder for transfer syntax {asked.transfer_syntax_uid}.")
        with self._places:
            answer, value = self._exchanged(asked, length)
        if "refused" in answer:
            raise CannotRender(_reason(answer["refused"], asked.transfer_syntax_uid))
        return answer, value

    def _exchanged(self, asked: _Asked, length: Length) -> tuple[dict[str, Any], bytes]:
        """By a decoder that is there, or by a new one. One that ended just before it was asked is no reason to
        refuse a frame."""
        child, head = self._waiting(), asked.head(self._settings)
        began = time.monotonic()
        try:
            return self._exchange(child or self._forked(), head, asked.frame, length)
        except wire.Gone:
            if child is not None and time.monotonic() - began < AT_ONCE:
                with suppress(wire.Gone):
                    return self._exchange(self._forked(), head, asked.frame, length)
        log.warning("a decoder ended over a frame", transfer_syntax=asked.transfer_syntax_uid)
        raise CannotRender(
            f"The frame cannot be decoded as {asked.transfer_syntax_uid}: its decoder failed, or took longer than "
            f"{head['seconds']} s or more than {head['memory'] >> 20} MiB."
        )

    def _exchange(
        self, child: _Child, head: Mapping[str, Any], frame: bytes, length: Length
    ) -> tuple[dict[str, Any], bytes]:
        try:
            answer, value = child.ask(head, frame, length)
        except BaseException:
            child.end()
            raise
        if "refused" in answer or child.is_held_back:
            child.end()
        else:
            self._idle.append(child)
        return answer, value

    def _waiting(self) -> _Child | None:
        """A decoder that has nothing to do. Those of the process that this one was forked from are not ours."""
        if self._process != os.getpid():
            self._process, idle, self._idle = os.getpid(), self._idle, []
            self._places = threading.BoundedSemaphore(MOST)
            for child in idle:
                child.connection.close()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _forked(self) -> _Child:
        process = self._new_child()
        patience = PATIENCE * self._settings.seconds
        wire.allow(process.connection, patience)
        return _Child(process, self._turns, patience)


def _failed(transfer_syntax_uid: str) -> CannotRender:
    return CannotRender(f"The frame cannot be decoded as {transfer_syntax_uid}.")


def _item_bytes(kind: Any) -> int:
    return np.dtype(kind).itemsize if isinstance(kind, str) and kind in _KINDS else -1


def _colours(answer: Mapping[str, Any]) -> str:
    """A Photometric Interpretation, as far as what a decoder says can be trusted: a few letters."""
    said = answer.get("colours")
    return said if isinstance(said, str) and len(said) <= 16 and said.isprintable() else ""


def _reason(said: Any, transfer_syntax_uid: str) -> str:
    fits = isinstance(said, str) and len(said) <= _LONGEST_REASON and said.isprintable()
    return said if fits else _failed(transfer_syntax_uid).reason
