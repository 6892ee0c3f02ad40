"""Everything at once, for as long as it is asked for: studies are stored, looked for, brought, rendered and deleted.

Each client keeps its latest studies and deletes the one before, so that after some minutes the archive holds as much as
it will hold, and nothing it needs may grow any more. All that comes back is compared with what was sent.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.loads.http import Connection
from reliability import dimse
from reliability.objects import SOP_CLASSES, Object, made
from reliability.target import Target
from reliability.web import Web, data_set_of, uid_of

OBJECTS, KEPT, PER_REQUEST = 16, 8, 8
_MOST_FAULTS = 50
_LEVEL, _STUDY = 0x00080052, 0x0020000D
_JSON = "application/dicom+json"
_OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


class Wrong(Exception):
    """An answer that is not what it has to be."""


class Watch:
    """How long what took, and what went wrong. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[str, list[float]] = {}
        self.faults: list[str] = []
        self.done = 0

    @contextmanager
    def timed(self, operation: str) -> Iterator[None]:
        """One operation; if it fails, so does the soak."""
        begin = time.perf_counter()
        yield
        seconds = time.perf_counter() - begin
        with self._lock:
            self._seconds.setdefault(operation, []).append(seconds)
            self.done += 1

    def fault(self, text: str) -> None:
        """Note what went wrong."""
        with self._lock:
            if len(self.faults) < _MOST_FAULTS:
                self.faults.append(text)

    def take(self) -> dict[str, list[float]]:
        """The seconds of each operation since this was last asked."""
        with self._lock:
            taken, self._seconds = self._seconds, {}
            return taken


class Client:
    """One of those who use the archive, in a thread of its own."""

    def __init__(self, target: Target, name: str, watch: Watch, pause: float) -> None:
        self._target = target
        self._name = name
        self._watch = watch
        self._pause = pause

    def run(self, stop: threading.Event) -> None:
        """Turn after turn until `stop`."""
        for turn in itertools.count():
            if stop.is_set():
                return
            try:
                self._turn(turn)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the soak's result
                self._watch.fault(f"{self._name}, turn {turn}: {type(error).__name__}: {error}")
                stop.wait(1.0)
            stop.wait(self._pause)

    def _turn(self, turn: int) -> None:
        objects = [made(self._name, turn * OBJECTS + number, OBJECTS) for number in range(OBJECTS)]
        if turn % 2:
            self._store_by_web(objects)
        else:
            self._store(objects)
        self._find(objects[0].StudyInstanceUID)
        self._get(objects)
        self._bring(objects)
        self._look_at(objects[3])
        if turn >= KEPT:
            self._delete(made(self._name, (turn - KEPT) * OBJECTS, OBJECTS).StudyInstanceUID)

    def _store(self, objects: list[Object]) -> None:
        with dimse.storing(self._target, SOP_CLASSES) as association:
            for one in objects:
                with self._watch.timed("C-STORE"):
                    status = association.store(one.SOPClassUID, one.SOPInstanceUID, one.data_set)
                _expect("C-STORE", status, 0)

    def _store_by_web(self, objects: list[Object]) -> None:
        with Web(self._target) as web:
            for first in range(0, len(objects), PER_REQUEST):
                together = objects[first : first + PER_REQUEST]
                with self._watch.timed("STOW-RS"):
                    statuses = web.store(together)
                _expect("STOW-RS", set(statuses.values()), {0})

    def _find(self, study: str) -> None:
        with dimse.asking(self._target) as association, self._watch.timed("C-FIND"):
            found = association.find({_LEVEL: "STUDY", _STUDY: study})
        _expect("C-FIND", len(found), 1)
        with Web(self._target) as web, self._watch.timed("QIDO-RS"):
            instances = web.search(f"/studies/{study}/instances", limit=100)
        _expect("QIDO-RS", len(instances), OBJECTS)

    def _get(self, objects: list[Object]) -> None:
        study = objects[0].StudyInstanceUID
        with dimse.asking(self._target, SOP_CLASSES) as association, self._watch.timed("C-GET"):
            brought = dict(association.get({_LEVEL: "STUDY", _STUDY: study}))
        _expect("C-GET", brought, {one.SOPInstanceUID: one.data_set for one in objects}, show=False)

    def _bring(self, objects: list[Object]) -> None:
        with Web(self._target) as web, self._watch.timed("WADO-RS"):
            files = web.retrieve(f"/studies/{objects[0].StudyInstanceUID}")
        brought = {uid_of(file): data_set_of(file) for file in files}
        _expect("WADO-RS", brought, {one.SOPInstanceUID: one.data_set for one in objects}, show=False)

    def _look_at(self, one: Object) -> None:
        """As a viewer does."""
        series = f"{self._target.prefix}/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}"
        instance = f"{series}/instances/{one.SOPInstanceUID}"
        with Connection(self._target.host, self._target.http_port) as connection:
            for operation, path, accept in (
                ("metadata", f"{series}/metadata", _JSON),
                ("frame", f"{instance}/frames/1", _OCTETS),
                ("rendered", f"{instance}/rendered", "image/jpeg"),
            ):
                with self._watch.timed(operation):
                    answer = connection.get(path, accept)
                _expect(operation, answer.status, 200)

    def _delete(self, study: str) -> None:
        with Web(self._target) as web:
            with self._watch.timed("DELETE"):
                status = web.delete(f"/studies/{study}")
            _expect("DELETE", status in (200, 204), True)
            _expect("QIDO-RS of what was deleted", len(web.search(f"/studies/{study}/instances", limit=1)), 0)


def begin(clients: list[Client], stop: threading.Event) -> Callable[[], None]:
    """Start all; what it gives waits until the last has ended its turn."""
    threads = [threading.Thread(target=client.run, args=(stop,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()

    def wait() -> None:
        for thread in threads:
            thread.join()

    return wait


def _expect(operation: str, said: object, wanted: object, *, show: bool = True) -> None:
    if said != wanted:
        raise Wrong(f"{operation}: {said} instead of {wanted}" if show else f"{operation}: not what was sent")
