"""What the C library does with memory that was freed: a worker keeps some of it for the next object.

glibc gives the end of its heap back to the kernel whenever more than a few hundred kilobytes of it are free, which
objects of half a megabyte make happen again and again. The next one then takes every page anew from the kernel, zeroed,
which costs several times what copying the object does. What is kept is bounded: so much in each of two arenas.
"""

from __future__ import annotations

import ctypes

KEPT_BYTES = 8 << 20
LARGEST_ON_THE_HEAP = 2 << 20
"""A block that is larger goes back to the kernel as soon as it is freed."""
ARENAS = 2
"""By default it is eight for each processor, each with free memory of its own."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Of glibc's malloc.h."""


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
