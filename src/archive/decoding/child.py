"""A process that decodes frames: first line to last, forked from the nursery.

It can open nothing, start nothing and write nothing but its answers. How much memory and processor time a frame may
take is said with each. After a frame that was no picture it ends, as nobody knows what state a decoder is in that has
read one; and when it has had nothing to do for a while, so that no memory is held for nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from archive.decoding import wire
from archive.dicom.errors import CannotRender
from archive.dicom.pixels import codecs, native
from archive.dicom.pixels.pixel_description import PixelDescription

IDLE_SECONDS = 2.0
NICENESS = 5
"""Frames that take long to decode must not keep those who store from the processors: pictures can wait."""

_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38
"""Of Linux's prctl.h."""

Answer = tuple[dict[str, Any], bytes | memoryview]


def serve(connection: socket.socket) -> None:
    """Decode what is asked for until nothing is any more."""
    confine(connection.fileno())
    limits = _Limits()
    wire.allow(connection, IDLE_SECONDS)
    with contextlib.suppress(wire.Gone):
        while True:
            asked = wire.receive_head(connection)
            limits.allow(asked["memory"], asked["seconds"])
            wire.allow(connection, asked["seconds"])
            answer, value = answered(asked, wire.receive_value(connection, asked))
            wire.send(connection, answer, value)
            if "refused" in answer:
                return
            wire.allow(connection, IDLE_SECONDS)


def answered(asked: Mapping[str, Any], frame: bytes) -> Answer:
    """What becomes of a request: the answer and the value that goes with it."""
    try:
        return _WORK[asked["do"]](frame, PixelDescription(*asked["description"]), asked["syntax"])
    except CannotRender as refusal:
        return {"refused": refusal.reason}, b""
    except MemoryError:
        return {"refused": "To decode the frame takes more memory than is allowed."}, b""


def _values(frame: bytes, description: PixelDescription, transfer_syntax_uid: str) -> Answer:
    decoded = codecs.decode_frame(frame, description, transfer_syntax_uid)
    values = np.ascontiguousarray(decoded.values, decoded.values.dtype.newbyteorder("<"))
    return {"kind": values.dtype.str, "colours": decoded.PhotometricInterpretation}, _bytes_of(values)


def _native(frame: bytes, description: PixelDescription, transfer_syntax_uid: str) -> Answer:
    made = native.native_frame(frame, description, transfer_syntax_uid)
    return {"colours": made.PhotometricInterpretation, "planar": made.PlanarConfiguration}, made.value


def _bytes_of(values: codecs.Array) -> memoryview:
    return values.reshape(-1).view(np.uint8).data


_WORK: Mapping[str, Callable[[bytes, PixelDescription, str], Answer]] = {"values": _values, "native": _native}


def confine(connection: int) -> None:
    """Give up all but one open socket. What is needed has been imported before."""
    end_with_parent()
    prctl(_NO_NEW_PRIVILEGES, 1)
    os.nice(NICENESS)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    close_all_but({0, 1, 2, connection})
    none = (0, 0)
    for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(what, none)


def end_with_parent() -> None:
    """Die when the process that forked this one does."""
    prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def prctl(option: int, value: int) -> None:
    """Where the C library has it; elsewhere the closed socket has to do."""
    call = getattr(ctypes.CDLL(None), "prctl", None)
    if call is not None:
        call(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def close_all_but(kept: set[int]) -> None:
    """Close all other descriptors."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor not in kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)


class _Limits:
    """What a frame may take, beyond what the process had before the first."""

    def __init__(self) -> None:
        with open("/proc/self/statm", encoding="ascii") as memory:
            self._before = int(memory.read().split()[0]) * resource.getpagesize()
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, lowest_free))

    def allow(self, memory: int, seconds: int) -> None:
        """For the next frame. What is over the memory gets none, what is over the time is ended by the kernel."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(used.ru_utime + used.ru_stime) + 1
        resource.setrlimit(resource.RLIMIT_AS, (self._before + memory, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, resource.RLIM_INFINITY))
