"""What the C library does with memory that was freed: a worker keeps some of it for the next object.

glibc gives the end of its heap back to the kernel whenever more than a few hundred kilobytes of it are free, which
objects of half a megabyte make happen again and again. The next one then takes every page anew from the kernel, zeroed,
which costs several times what copying the object does. What is kept is bounded: so much in each of two arenas.

That bound is of the end of a heap. What many clients at a time have made it hold lies between blocks still in use when
they are gone, and would stay: that is given back page by page, once it has lain there for two looks.
"""

from __future__ import annotations

import ctypes

KEPT_BYTES = 8 << 20
LARGEST_ON_THE_HEAP = 2 << 20
"""A block that is larger goes back to the kernel as soon as it is freed."""
ARENAS = 2
"""By default it is eight for each processor, each with free memory of its own."""

MOST_FREE = ARENAS * KEPT_BYTES
"""Freed, and kept nevertheless, in all arenas together."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Of glibc's malloc.h."""


_FREED = 8
"""The place of fordblks in struct mallinfo2: bytes that are free in all arenas, given back or not."""


class _Figures(ctypes.Structure):
    """struct mallinfo2."""

    _fields_ = (("values", ctypes.c_size_t * 10),)


def keep_freed_memory() -> bool:
    """Set the bounds, for this process and those that it forks. False where the C library has none."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    options = (
        (_TRIM_THRESHOLD, KEPT_BYTES),
        (_MMAP_THRESHOLD, LARGEST_ON_THE_HEAP),
        (_ARENA_MAX, ARENAS),
    )
    return all(mallopt(option, value) == 1 for option, value in options)


class Surplus:
    """What is free beyond the bounds; looked at now and then, from one thread."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._figures = getattr(library, "mallinfo2", None)
        self._trim = getattr(library, "malloc_trim", None)
        self._was_much = False
        self._given_back = 0
        if self._figures is not None:
            self._figures.restype = _Figures
        if self._trim is not None:
            self._trim.argtypes = (ctypes.c_size_t,)

    def look(self) -> bool:
        """Give it back to the kernel, when it was too much the last time as well; whether that was done. A C library
        without these functions keeps what it likes."""
        if self._figures is None or self._trim is None:
            return False
        free = self._figures().values[_FREED]
        is_much = free > MOST_FREE and free != self._given_back
        done = is_much and self._was_much
        if done:
            self._trim(KEPT_BYTES)
            self._given_back = self._figures().values[_FREED]
        self._was_much = is_much and not done
        return done
