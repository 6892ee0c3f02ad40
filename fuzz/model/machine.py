"""The state machine over the whole server: one thing after the other is done to it and to the model, and compared.

What is stored comes by C-STORE and STOW-RS, whole or cut off; what is asked, by QIDO-RS and C-FIND; what is retrieved,
by WADO-RS and C-GET; and in between the server is killed, stopped, and loses workers, also amid a store or a deletion.
Of what nobody was told then, either all is there or nothing, and sending it again is a Success (I1-I7).
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from benchmarks.loads.http import BrokenOff
from fuzz.model.expected import KEPT_ASIDE, SUCCESS, Expected
from fuzz.model.questions import LEVEL, questions
from fuzz.model.server import Server
from fuzz.model.things import BATCHES, INSTANCES, NATURAL, SERIES, STUDIES, THINGS, Names, Thing, digest, made
from reliability import dimse, on_disk, web
from reliability.objects import SOP_CLASSES, Object
from reliability.web import Web, data_set_of, uid_of, values

_ROOTS = itertools.count(secrets.randbits(40))
_MOST_CRASHES = 2
"""In one history: each takes seconds."""
_LEVELS = st.sampled_from(["study", "series", "instance"])
_GOES = (OSError, EOFError, BrokenOff)
_COUNTS = "includefield=00201206,00201208,00080061"


class Whole(RuleBasedStateMachine):
    """A history of one server, which other histories have used before."""

    server: ClassVar[Server]
    done: ClassVar[Counter[str]]
    """What was done in all histories, by which a test sees that nothing was left out."""
    unanswered: ClassVar[Counter[str]]
    """Stores that nobody heard an answer to: each may have left bytes to which nothing points."""

    def __init__(self) -> None:
        super().__init__()
        self.names = Names(next(_ROOTS))
        self.expected = Expected(self.server.policy)
        self.crashes = 0

    # --- storing ---

    @rule(thing=THINGS)
    def store(self, thing: Thing) -> None:
        """By C-STORE."""
        met = self.expected.meets(thing)
        one = self._made(thing)
        with dimse.storing(self.server.target, SOP_CLASSES) as association:
            status = association.store(one.SOPClassUID, one.SOPInstanceUID, one.data_set)
        assert status == self.expected.store(thing), f"{thing} met {met!r} and was answered {status:04X}"
        self.done[f"stored, meeting {met or 'nothing'}"] += 1

    @rule(batch=BATCHES, again=st.booleans())
    def post(self, batch: list[Thing], again: bool) -> None:
        """By STOW-RS, several in one request, and one of them perhaps twice."""
        sent = [*batch, batch[0]] if again else batch
        with Web(self.server.target) as asked:
            statuses = asked.store([self._made(thing) for thing in sent])
        for thing in batch:
            self._note_posted(thing, statuses)
        self.done["posted"] += 1

    @rule(thing=THINGS, left=st.floats(0.05, 0.98), by_web=st.booleans())
    def store_cut(self, thing: Thing, left: float, by_web: bool) -> None:
        """What was cut off is refused, and changes nothing."""
        one = self._made(thing)
        cut = one.data_set[: int(len(one.data_set) * left)]
        if by_web:
            bad = Object(
                one.SOPClassUID, one.SOPInstanceUID, one.SeriesInstanceUID, one.StudyInstanceUID, cut
            )
            with Web(self.server.target) as asked:
                status = asked.store([bad])[one.SOPInstanceUID]
        else:
            with dimse.storing(self.server.target, SOP_CLASSES) as association:
                status = association.store(one.SOPClassUID, one.SOPInstanceUID, cut)
        assert status, f"{thing}, cut to {len(cut)} bytes, was answered with Success"
        self.done["cut"] += 1

    # --- deleting ---

    @rule(thing=NATURAL, level=_LEVELS)
    def delete(self, thing: Thing, level: str) -> None:
        """A study, a series or an instance; a second time it is gone."""
        path, place = self._place(thing, level)
        wanted = 204 if self.expected.below(*place) else self.expected.missing(*place)
        with Web(self.server.target) as asked:
            status = asked.delete(path)
        assert status == wanted, f"{path}: {status}, not {wanted}"
        self.expected.delete(*place)
        self.done[f"deleted: {wanted}"] += 1

    # --- asking ---

    @rule(number=st.integers(0, INSTANCES - 1))
    def ask(self, number: int) -> None:
        """By both doors; the model says what they must say."""
        with Web(self.server.target) as asked, dimse.asking(self.server.target) as association:
            for question in questions(self.names, number):
                wanted = question.answer(self.names, self.expected)
                tag = f"{question.uid_tag:08X}"
                by_web = [values(one, tag) for one in asked.search(question.path)]
                assert sorted(by_web) == sorted(wanted), f"{question.path}: {by_web}, not {wanted}"
                if question.level == "STUDY":
                    found = [one[question.uid_tag] for one in association.find(question.identifier)]
                    assert sorted(found) == sorted(wanted), f"C-FIND {question.keys}: {found}, not {wanted}"
        self.done["asked"] += 1

    @rule(thing=NATURAL, level=_LEVELS)
    def retrieve(self, thing: Thing, level: str) -> None:
        """By WADO-RS: the bytes that were sent, or why there are none."""
        path, place = self._place(thing, level)
        wanted = {
            self.names.instance(one.instance): digest(self.names, one) for one in self.expected.below(*place)
        }
        assert self._retrieved(path) == (wanted or self.expected.missing(*place)), path
        self.done["retrieved"] += 1

    # --- what happens to the server ---

    @rule(how=st.sampled_from(["killed", "stopped", "worker"]), number=st.integers(0, 9))
    @precondition(lambda self: self.crashes < _MOST_CRASHES)
    def restart(self, how: str, number: int) -> None:
        """Between two requests."""
        self.crashes += 1
        if how == "worker":
            self.server.kill_worker(number)
        elif how == "stopped":
            assert self.server.stop() == 0
        else:
            self.server.kill()
        self.done[how] += 1
        self._check_all()

    @rule(batch=BATCHES, seconds=st.floats(0, 0.06))
    @precondition(lambda self: self.crashes < _MOST_CRASHES)
    def kill_while_storing(self, batch: list[Thing], seconds: float) -> None:
        """Amid a store request."""
        self.crashes += 1

        def send(asked: Web) -> dict[str, int | None]:
            return asked.store([self._made(thing) for thing in batch])

        answer = self._killed_amid(send, seconds)
        for thing in batch:
            if answer is None:
                self._settle_store(thing)
            else:
                self._note_posted(thing, answer)
        self.done["killed while storing" + (", answered" if answer else "")] += 1
        self._check_all()
        for thing in batch:
            self.store(thing)

    @rule(thing=NATURAL, level=_LEVELS, seconds=st.floats(0, 0.03))
    @precondition(lambda self: self.crashes < _MOST_CRASHES)
    def kill_while_deleting(self, thing: Thing, level: str, seconds: float) -> None:
        """Amid a deletion: all of it is gone, or nothing."""
        path, place = self._place(thing, level)
        before = list(self.expected.below(*place))
        if not before:
            return
        self.crashes += 1
        answer = self._killed_amid(lambda asked: asked.delete(path), seconds)
        if answer == 204 or self._retrieved(path) == 410:
            self.expected.delete(*place)
        self.done["killed while deleting"] += 1
        self._check_all()

    def teardown(self) -> None:
        """In the end all of it is looked at."""
        self._check_all()
        found = on_disk.look(self.server.target)
        assert not found.wrong, found.wrong
        most = sum(self.unanswered.values())
        assert len(found.orphans) <= most, f"{len(found.orphans)} orphans, where {most} are possible"
        for fault in ("internal error", "Traceback"):
            assert fault not in self.server.log, self.server.log[-3000:]

    # --- looking ---

    def _check_all(self) -> None:
        """What is listed and counted is what the model knows, and each of it comes back as it was sent."""
        target = self.server.target
        with Web(target) as asked:
            listed = asked.search(f"/studies?PatientID={self.names.patients}&{_COUNTS}")
        assert {values(one, "0020000D"): _counted(one) for one in listed} == {
            self.names.study(study): (
                self.names.patient(things[0].patient),
                str(len({thing.series for thing in things})),
                str(len(things)),
                sorted({thing.modality for thing in things}),
            )
            for study, things in self.expected.studies().items()
        }
        for number in range(STUDIES):
            wanted = {
                self.names.instance(one.instance): digest(self.names, one)
                for one in self.expected.below(number)
            }
            path = f"/studies/{self.names.study(number)}"
            assert self._retrieved(path) == (wanted or self.expected.missing(number)), path
            assert self._got(number) == wanted, f"C-GET of study {number}"
        for number in range(SERIES):
            self._check_series(number)

    def _check_series(self, number: int) -> None:
        things = self.expected.series().get(number, [])
        if things:
            path = (
                f"/studies/{self.names.study(things[0].study)}/series/{self.names.series(number)}/instances"
            )
            with Web(self.server.target) as asked:
                found = {values(one, "00080018") for one in asked.search(path)}
            assert found == {self.names.instance(thing.instance) for thing in things}, path

    def _retrieved(self, path: str) -> dict[str, str] | int:
        """Digests by instance, or the status that says why there is nothing."""
        with Web(self.server.target) as asked:
            try:
                files = asked.retrieve(path)
            except web.Refused as refused:
                return refused.status
        found = {uid_of(file): hashlib.sha256(data_set_of(file)).hexdigest() for file in files}
        assert len(found) == len(files), "an instance came twice"
        return found

    def _got(self, study: int) -> dict[str, str]:
        with dimse.asking(self.server.target, SOP_CLASSES) as association:
            keys = {LEVEL: "STUDY", 0x0020000D: self.names.study(study)}
            return {uid: hashlib.sha256(data_set).hexdigest() for uid, data_set in association.get(keys)}

    def _note_posted(self, thing: Thing, statuses: dict[str, int | None]) -> None:
        """What a store request said of it; what is kept aside is told there as stored, with a warning."""
        wanted = self.expected.store(thing)
        got = statuses[self.names.instance(thing.instance)]
        assert got == (SUCCESS if wanted == KEPT_ASIDE else wanted), f"{thing} was answered {got}"

    def _settle_store(self, thing: Thing) -> None:
        """Nobody was told what became of it: either it is there as it was sent, or all is as before."""
        self.unanswered["stores"] += 1
        there = self._retrieved(self.names.path(thing))
        if there == {self.names.instance(thing.instance): digest(self.names, thing)}:
            assert self.expected.store(thing) == SUCCESS, f"{thing} is stored, and should have been refused"

    def _killed_amid(self, send: Callable[[Web], Any], seconds: float) -> Any:
        """What was answered before the server was killed; None if nothing was."""
        answers: list[Any] = []
        target = self.server.target

        def run() -> None:
            try:
                with Web(target) as asked:
                    answers.append(send(asked))
            except _GOES:
                pass

        sender = threading.Thread(target=run)
        sender.start()
        time.sleep(seconds)
        self.server.kill()
        sender.join()
        return answers[0] if answers else None

    def _made(self, thing: Thing) -> Object:
        return made(self.names, thing)

    def _place(self, thing: Thing, level: str) -> tuple[str, tuple[int, ...]]:
        """A path, and the numbers in it."""
        numbers = (thing.study, thing.series, thing.instance)[
            : ("study", "series", "instance").index(level) + 1
        ]
        path = self.names.path(thing).split("/")[: 1 + 2 * len(numbers)]
        return "/".join(path), numbers


def _counted(one: dict[str, Any]) -> tuple[str, str, str, list[str]]:
    modalities = sorted(one.get("00080061", {}).get("Value", []))
    return values(one, "00100020"), values(one, "00201206"), values(one, "00201208"), modalities
