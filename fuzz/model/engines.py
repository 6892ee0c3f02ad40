"""The same history on several engines in this process, beside the model: the same answers (I10).

Every engine has a store of its own. A history goes to all of them, step by step, and each step must have the outcome
that the model expects. What is asked goes through the handlers of QIDO-RS, whose whole answers are compared, attribute
by attribute. A step may be the last of a process that is killed at a point of `reliability.failpoints`: it is taken in
a fork, so what was open here stays open, and what it left is what a crash leaves.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import os
import secrets
import signal
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import orjson
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from archive.bootstrap import building, preparing
from archive.bootstrap.building import Archive
from archive.dicom.errors import Gone, InstanceConflict, NotFound
from archive.dicom.instance import Scope, Source
from archive.settings.whole import Settings
from archive.web import qido
from archive.web.http.exchange import Asked, Sliced
from fuzz.model.expected import DUPLICATE, SUCCESS, Expected
from fuzz.model.questions import Question, questions
from fuzz.model.things import BATCHES, INSTANCES, NATURAL, THINGS, Names, Thing, digest, made
from reliability import failpoints

POLICIES = ("reject", "replace", "keep", "conflict")
_ROOTS = itertools.count(secrets.randbits(40))
_PATIENCE = 60
_NEVER_REACHED = 3
_HANDLERS = {"STUDY": qido.studies, "SERIES": qido.series, "IMAGE": qido.instances}
_POINTS = {"received": False, "published": False, "changed": False, "committed": True}
"""Where a store is killed, and whether it is stored then."""


@dataclass(frozen=True)
class Engine:
    """An archive for each policy, over one index and one store."""

    name: str
    archives: dict[str, Archive]

    @classmethod
    def on(cls, name: str, settings: Settings) -> Engine:
        """A new one; its index has no tables yet, or is empty."""
        preparing.prepare(settings)
        return cls(name, {policy: building.build(_with(settings, policy)) for policy in POLICIES})

    def close(self) -> None:
        """Give everything back."""
        for archive in self.archives.values():
            archive.close()


def _with(settings: Settings, policy: str) -> Settings:
    return replace(settings, dimse=replace(settings.dimse, duplicates=policy))


class Engines(RuleBasedStateMachine):
    """A history under one policy, on all engines."""

    engines: ClassVar[list[Engine]]
    done: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.names = Names(next(_ROOTS))
        self.policy = POLICIES[0]
        self.expected = Expected(self.policy)

    @initialize(policy=st.sampled_from(POLICIES))
    def choose(self, policy: str) -> None:
        """What becomes of an object whose identifiers are taken."""
        self.policy, self.expected = policy, Expected(policy)

    @rule(thing=THINGS)
    def store(self, thing: Thing) -> None:
        """One object, as the doors do it."""
        met = self.expected.meets(thing)
        wanted = self.expected.store(thing)
        self._all(lambda archive: _store(archive, self.names, thing), wanted)
        self.done[f"{self.policy}: {met or 'nothing'}"] += 1

    @rule(batch=BATCHES)
    def store_together(self, batch: list[Thing]) -> None:
        """Several, made safe together."""
        wanted = [self.expected.store(thing) for thing in batch]
        self._all(lambda archive: _store_together(archive, self.names, batch), wanted)
        self.done["together"] += 1

    @rule(thing=NATURAL, depth=st.integers(1, 3))
    def delete(self, thing: Thing, depth: int) -> None:
        """What stands at a place."""
        place = (thing.study, thing.series, thing.instance)[:depth]
        missing = self.expected.missing(*place)
        wanted = self.expected.delete(*place) or -missing
        self._all(lambda archive: _delete(archive, self.names, place), wanted)
        self.done["deleted" if wanted > 0 else "missing"] += 1

    @rule(thing=THINGS, point=st.sampled_from(sorted(_POINTS)))
    def crash_while_storing(self, thing: Thing, point: str) -> None:
        """Only what was committed is there afterwards."""
        if not self._killed(point, lambda archive: _store(archive, self.names, thing)):
            self.expected.store(thing)  # it never came there: there was nothing to make safe
        else:
            self.done[f"crash: {point}"] += 1
            if _POINTS[point]:
                self.expected.store(thing)
        self.look()

    @rule(thing=NATURAL, depth=st.integers(1, 3), point=st.sampled_from(["changed", "committed"]))
    def crash_while_deleting(self, thing: Thing, depth: int, point: str) -> None:
        """All of it is gone, or nothing."""
        place = (thing.study, thing.series, thing.instance)[:depth]
        if not copy.deepcopy(self.expected).delete(*place):
            # Of nothing an engine may commit nothing, or take nothing back: either may be where it is killed.
            self._struck(point, lambda archive: _delete(archive, self.names, place))
            self.look()
            return
        killed = self._killed(point, lambda archive: _delete(archive, self.names, place))
        if point == "committed" or not killed:
            self.expected.delete(*place)
        self.done[f"crash deleting: {point}"] += killed
        self.look()

    @rule(number=st.integers(0, INSTANCES - 1))
    def ask(self, number: int) -> None:
        """The whole answers are the same, and have what the model expects."""
        for question in questions(self.names, number):
            answers = [_asked(engine.archives[self.policy], question) for engine in self.engines]
            for engine, answer in zip(self.engines[1:], answers[1:], strict=True):
                assert answer == answers[0], (
                    f"{question.path}: {engine.name} says otherwise than {self.engines[0].name}"
                )
            wanted = question.answer(self.names, self.expected)
            assert sorted(answers[0]) == sorted(wanted), (
                f"{question.path}: {sorted(answers[0])}, not {sorted(wanted)}"
            )
        self.done["asked"] += 1

    def look(self) -> None:
        """What is there is what the model knows, byte by byte."""
        wanted = {
            self.names.instance(one.instance): digest(self.names, one)
            for one in self.expected.stored.values()
        }
        for engine in self.engines:
            archive = engine.archives[self.policy]
            studies = tuple(self.names.study(number) for number in self.expected.studies())
            found = archive.retrieve.instances(Scope(studies)) if studies else []
            assert {one.SOPInstanceUID: _digest(archive, one) for one in found} == wanted, engine.name

    def teardown(self) -> None:
        """In the end all of it."""
        self.look()
        self.ask(0)

    def _killed(self, point: str, act: Callable[[Archive], Any]) -> bool:
        """Whether the processes were killed at this point: all of them, or they all never came there."""
        (killed,) = self._struck(point, act)
        return killed

    def _struck(self, point: str, act: Callable[[Archive], Any]) -> set[bool]:
        return {_is_killed(engine.archives[self.policy].settings, point, act) for engine in self.engines}

    def _all(self, act: Callable[[Archive], Any], wanted: Any) -> None:
        for engine in self.engines:
            got = act(engine.archives[self.policy])
            assert got == wanted, f"{engine.name}: {got}, not {wanted}"


def _store(archive: Archive, names: Names, thing: Thing) -> int:
    (status,) = _store_together(archive, names, [thing])
    return status


def _store_together(archive: Archive, names: Names, things: list[Thing]) -> list[int]:
    """The status of each, as C-STORE has them."""
    receptions = []
    for one in (made(names, thing) for thing in things):
        reception = archive.ingest.data_set(
            "1.2.840.10008.1.2.1", one.SOPClassUID, one.SOPInstanceUID, Source("FUZZ", "192.0.2.1")
        )
        reception.write(one.data_set)
        receptions.append(reception)
    settled = archive.ingest.finish(receptions)
    for reception in receptions:
        reception.__exit__(None, None, None)
    statuses = []
    for outcome in settled:
        try:
            statuses.append(outcome.result().warning or SUCCESS)
        except InstanceConflict:
            statuses.append(DUPLICATE)
    return statuses


def _delete(archive: Archive, names: Names, place: tuple[int, ...]) -> int:
    """How many instances, or why none."""
    kinds = (names.study, names.series, names.instance)
    uids = [(kind(number),) for kind, number in zip(kinds, place, strict=False)]
    try:
        return archive.deletion.delete(Scope(*uids))
    except Gone:
        return -410
    except NotFound:
        return -404


def _asked(archive: Archive, question: Question) -> dict[str, Any]:
    """The whole answer of QIDO-RS, by UID."""
    _, _, query = question.path.partition("?")
    asked = Asked({}, f"{query}&includefield=all", {}, "http://localhost/dicom-web")
    body = _HANDLERS[question.level](archive, asked).body
    assert not isinstance(body, Sliced)
    raw = body if isinstance(body, bytes) else b"".join(bytes(piece) for piece in body)  # type: ignore[arg-type]
    found = orjson.loads(raw) if raw else []
    by_uid = {one[f"{question.uid_tag:08X}"]["Value"][0]: one for one in found}
    assert len(by_uid) == len(found), "an answer twice"
    return by_uid


def _digest(archive: Archive, instance: Any) -> str:
    with archive.retrieve.open(instance) as blob:
        return hashlib.sha256(blob.read(instance.data_set_offset, instance.data_set_length)).hexdigest()


def _is_killed(settings: Settings, point: str, act: Callable[[Archive], Any]) -> bool:
    """Whether a process that does this was killed at the point; else it has done it."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of other threads here, none of which the fork needs
        pid = os.fork()
    if not pid:
        _be_killed(settings, point, act)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (-signal.SIGKILL, _NEVER_REACHED), f"the process that was to be killed ended with {code}"
    return code == -signal.SIGKILL


def _be_killed(settings: Settings, point: str, act: Callable[[Archive], Any]) -> None:
    """Never returns. What waits for a lock that another thread held at the fork is ended by the alarm."""

    def strike(passed: str) -> None:
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        signal.alarm(_PATIENCE)
        archive = building.build(settings)
        failpoints.arm(strike)
        act(archive)
        code = _NEVER_REACHED
    finally:
        os._exit(code)
