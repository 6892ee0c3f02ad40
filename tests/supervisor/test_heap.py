"""Memory that a worker has freed is there for the next object."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

CODE = """
import resource, sys
from archive.supervisor import heap
if sys.argv[1] == "keep":
    assert heap.keep_freed_memory()
def use():
    pieces = [bytearray(256 << 10) for _ in range(2)]
    return b"".join(pieces)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """How many pages the kernel gave for two hundred objects of half a megabyte."""
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this machine cannot: bounds of glibc")
def test_objects_do_not_take_their_memory_from_the_kernel_each_time() -> None:
    pages = 200 * (1 << 20) // resource.getpagesize()
    assert faults("keep") < pages // 20 < faults("leave")


BETWEEN = """
from archive.supervisor import heap
assert heap.keep_freed_memory()
surplus = heap.Surplus()

def resident():
    with open("/proc/self/statm") as sizes:
        return int(sizes.read().split()[1]) * 4096

blocks = [(bytearray(512 << 10), bytearray(600)) for _ in range(128)]
for block, _ in blocks:
    block[::4096] = b"x" * 128
small = [pin for _, pin in blocks]
del blocks, block
before = resident()
looks = [surplus.look() for _ in range(4)]
print(before - resident(), *looks)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this machine cannot: bounds of glibc")
def test_what_is_free_between_blocks_in_use_goes_back() -> None:
    """Once it was too much twice; what is kept for the next object stays."""
    done = subprocess.run([sys.executable, "-c", BETWEEN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    freed, *looks = done.stdout.split()
    assert int(freed) > 32 << 20
    assert looks == ["False", "True", "False", "False"]
