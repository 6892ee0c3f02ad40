"""The state machine over the whole server: one history that has everything in it, and a few that Hypothesis makes up.

`python -m fuzz model` plays as many as there is time. That a wrong model is found out is shown in test_engines_model.
"""

from __future__ import annotations

from pathlib import Path

from fuzz.model.running import play, playing, plays
from fuzz.model.things import Thing, natural

HISTORIES, STEPS = 2, 15


def test_one_history_with_everything(tmp_path: Path) -> None:
    """Each rule at least once, and each way in which the server goes."""
    with playing(tmp_path, "reject") as machine:
        history = machine()
        history.post([natural(number) for number in range(4)], again=True)
        for thing in (natural(0), natural(0, 1), Thing(1, 0, 0, 8), natural(5)):
            history.store(thing)
        for by_web in (False, True):
            history.store_cut(natural(6), 0.9, by_web)
        history.delete(natural(1), "instance")
        history.kill_while_storing([natural(number) for number in (1, 6, 7, 8)], 0.004)
        history.ask(1)
        history.kill_while_deleting(natural(0), "study", 0.002)
        history.restart("worker", 0)
        history.delete(natural(7), "series")
        history.delete(natural(7), "series")
        history.retrieve(natural(7), "instance")
        history.restart("stopped", 0)
        history.teardown()
        done = machine.done
    assert {
        "stored, meeting same",
        "stored, meeting other content",
        "stored, meeting in the way",
    } <= done.keys()
    assert {"cut", "asked", "retrieved", "worker", "stopped", "killed while deleting"} <= done.keys()
    assert {"deleted: 204", "deleted: 410"} <= done.keys()


def test_the_server_does_as_the_model(tmp_path: Path) -> None:
    with playing(tmp_path, "replace") as machine:
        play(machine, plays(HISTORIES, STEPS))
        assert machine.done.total() >= STEPS
