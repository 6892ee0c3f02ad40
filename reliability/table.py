"""TABLE command -> run. A run gets the options and gives the exit status: 0 where all that must hold held."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from reliability import kills, power_cuts, power_points, soak_run

Run = Callable[[argparse.Namespace], int]

RUNS: Mapping[str, tuple[Run, str]] = {
    "kills": (kills.run, "kill -9 of the whole server at random instants under eight senders, 200 times"),
    "power-cuts": (power_cuts.run, "the power fails at random instants under eight senders, 100 times"),
    "power-cuts-at-points": (power_points.run, "the power fails once at each step of storing and deleting"),
    "soak": (soak_run.run, "an hour of mixed load: open files, threads, memory and times stay as they are"),
}
"""By name the run, and what it does in a line."""
