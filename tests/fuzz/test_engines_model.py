"""The same histories on SQLite and on PostgreSQL, with crashes: the same answers, and those of the model (I10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis.errors import Flaky

from archive import config
from archive.settings.whole import Settings
from fuzz.model import expected
from fuzz.model.engines import POLICIES, Engine, Engines
from fuzz.model.running import play, plays
from fuzz.model.things import Thing, natural
from suites.postgresql import Server

HISTORIES, STEPS = 3, 20


def _settings(data: Path, index: str = "") -> Settings:
    overrides = {"index.url": index, "storage.minimum_free_bytes": 0}
    return replace(config.load(environment={}, overrides=overrides), data=data)


@pytest.fixture
def engines(tmp_path: Path, postgresql: Server) -> Iterator[list[Engine]]:
    """An archive on each."""
    with postgresql.database() as url:
        made = [
            Engine.on("SQLite", _settings(tmp_path / "sqlite")),
            Engine.on("PostgreSQL", _settings(tmp_path / "postgresql", url)),
        ]
        yield made
        for engine in made:
            engine.close()


@pytest.mark.parametrize("policy", POLICIES)
def test_one_history_with_everything(engines: list[Engine], policy: str) -> None:
    """Each rule, each point at which a process is killed, and whatever can be in an object's way."""
    done = Counter[str]()
    history = type("Played", (Engines,), {"engines": engines, "done": done})()
    history.choose(policy)
    history.store_together([natural(number) for number in range(4)])
    for thing in (natural(0), natural(0, 1), natural(0, 2), Thing(1, 0, 0, 8), natural(5)):
        history.store(thing)
    for number, point in enumerate(("received", "published", "changed", "committed"), start=5):
        history.crash_while_storing(natural(number, 1), point)
    for point in ("changed", "committed"):
        history.crash_while_deleting(natural(1), 2, point)
    for depth in (3, 1, 1):
        history.delete(natural(8), depth)
    for number in range(4):
        history.ask(number)
    history.teardown()
    assert {f"{policy}: {met}" for met in ("nothing", "same", "other content", "in the way")} <= done.keys()
    assert {"crash: published", "crash: changed", "crash: committed", "deleted", "missing"} <= done.keys()


def test_the_same_history_has_the_same_answers(engines: list[Engine]) -> None:
    done = Counter[str]()
    play(type("Played", (Engines,), {"engines": engines, "done": done}), plays(HISTORIES, STEPS))
    assert done["asked"] >= HISTORIES


def test_a_wrong_model_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that thinks that nothing is ever in an object's way."""

    def meets(_: expected.Expected, _thing: Thing) -> str:
        return ""

    monkeypatch.setattr(expected.Expected, "meets", meets)
    engine = Engine.on("SQLite", _settings(tmp_path))
    played = type("Played", (Engines,), {"engines": [engine], "done": Counter[str]()})
    # What one history leaves may show another, so the same one need not fail twice; Hypothesis then says so.
    with pytest.raises((AssertionError, Flaky)):
        play(played, plays(20, 15))
    engine.close()
