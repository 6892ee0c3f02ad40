"""Frames that take long share what places there are with all processes that were forked from one."""

from __future__ import annotations

import os
import subprocess
import sys

from archive.decoding.turns import OF_THIS_MACHINE, Turns


def test_a_place_is_for_one_at_a_time() -> None:
    turns = Turns(2)
    taken = {turns.take(), turns.take()}
    assert taken == {0, 1}
    assert turns.take() is None
    turns.give_back(1)
    assert turns.take() == 1


FORKING = """
import os, signal
from archive.decoding.turns import Turns
turns = Turns(1)
said, says = os.pipe()
pid = os.fork()
if not pid:
    os.write(says, b"+" if turns.take() == 0 else b"-")
    signal.pause()
print(os.read(said, 1) == b"+", turns.take())
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
print(turns.take())
"""


def test_so_many_of_all_processes_together_and_an_end_gives_back() -> None:
    """In a process of its own, as this one may have threads."""
    said = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=False
    )
    assert said.stdout.split() == ["True", "None", "0"], said.stderr


def test_a_processor_is_left() -> None:
    taken = []
    while (place := OF_THIS_MACHINE.take()) is not None:
        taken.append(place)
    for place in taken:
        OF_THIS_MACHINE.give_back(place)
    assert len(taken) == max(1, len(os.sched_getaffinity(0)) - 1)
