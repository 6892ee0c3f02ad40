"""PostgreSQL that goes away, hangs, or is cut off at COMMIT (reliability.md 4.3): what was acknowledged is there, what
was not is wholly there or wholly absent and can be sent again, and nobody waits for good."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from archive import config
from archive.bootstrap import building, preparing
from archive.bootstrap.building import Archive
from archive.dicom.errors import OutcomeUnknown, OutOfResources
from archive.dicom.instance import Scope, Source
from archive.index import patience
from archive.index.patience import Reach
from archive.services.receipts import Receipt
from objects import encoded, secondary_capture
from suites.postgresql import Server

sys.path.append(str(Path(__file__).resolve().parents[1] / "index"))

from cutting_proxy import Mode, Proxy, proxy

IN_ONE_REQUEST = 32


@pytest.fixture
def between(postgresql: Server) -> Iterator[Proxy]:
    with proxy(postgresql.port) as made:
        yield made


@pytest.fixture
def archive(tmp_path: Path, postgresql: Server, migrated_template: str, between: Proxy) -> Iterator[Archive]:
    """Its index is behind the proxy."""
    with postgresql.database(migrated_template) as url:
        behind = url.replace(f":{postgresql.port}/", f":{between.port}/")
        settings = replace(
            config.load(environment={}, overrides={"index.url": behind}), data=tmp_path / "data"
        )
        preparing.prepare(settings)
        built = building.build(settings)
        yield built
        between.mode = Mode.PASS
        built.close()


def store(archive: Archive, *data_sets: Dataset) -> list[Receipt | Exception]:
    """What comes of each, sent in one request."""
    with ExitStack() as open_ones:
        receptions = []
        for one in data_sets:
            reception = open_ones.enter_context(
                archive.ingest.data_set(
                    ExplicitVRLittleEndian, one.SOPClassUID, one.SOPInstanceUID, Source("TEST")
                )
            )
            reception.write(encoded(one))
            receptions.append(reception)
        return [
            settled.results[0] if settled.error is None else settled.error
            for settled in archive.ingest.finish(receptions)
        ]


def is_there(archive: Archive, one: Dataset) -> bool:
    """With the bytes that were sent, if it is."""
    found = archive.retrieve.instances(Scope(sop_instance_uids=(one.SOPInstanceUID,)))
    for instance in found:
        with archive.retrieve.open(instance) as blob:
            assert blob.read(instance.data_set_offset, instance.data_set_length) == encoded(one)
    return bool(found)


def files(archive: Archive) -> int:
    return sum(path.is_file() for path in (archive.settings.data / "objects").rglob("*"))


def test_the_answer_to_a_commit_is_lost_and_the_object_is_acknowledged(
    archive: Archive, between: Proxy
) -> None:
    """It is read again what became of it: the sender need not send it again."""
    one = secondary_capture()
    between.mode = Mode.LOSE_ANSWER
    (answer,) = store(archive, one)
    assert between.commits == 1
    assert isinstance(answer, Receipt)
    assert is_there(archive, one)
    assert files(archive) == 1


def test_a_commit_is_lost_and_nobody_hears_success(archive: Archive, between: Proxy) -> None:
    one = secondary_capture()
    between.mode = Mode.LOSE_COMMIT
    (answer,) = store(archive, one)
    assert between.commits == 1
    assert isinstance(answer, OutcomeUnknown)
    assert not is_there(archive, one)
    (again,) = store(archive, one)
    assert isinstance(again, Receipt)
    assert is_there(archive, one)
    assert files(archive) == 2, "the bytes of the first stay, as the commit might still have come"


@pytest.mark.parametrize("mode", [Mode.LOSE_ANSWER, Mode.LOSE_COMMIT])
def test_of_several_objects_that_share_a_commit_none_is_said_to_be_what_it_is_not(
    archive: Archive, between: Proxy, mode: Mode
) -> None:
    first = secondary_capture()
    sent = [first, *(secondary_capture(StudyInstanceUID=first.StudyInstanceUID) for _ in range(4))]
    between.mode = mode
    answers = store(archive, *sent)
    assert between.commits == 1
    for one, answer in zip(sent, answers, strict=True):
        assert is_there(archive, one) == isinstance(answer, Receipt)
    assert all(isinstance(answer, Receipt) for answer in store(archive, *sent))
    assert all(is_there(archive, one) for one in sent)


def test_a_server_that_has_gone_is_back_without_our_being_started_anew(
    archive: Archive, between: Proxy
) -> None:
    one, other = secondary_capture(), secondary_capture()
    assert isinstance(store(archive, one)[0], Receipt)
    between.mode = Mode.REFUSE
    between.cut()
    assert isinstance(store(archive, other)[0], OutOfResources)
    assert [check.name for check in archive.health.ready() if not check.ok] == ["index"]
    assert files(archive) == 1
    between.mode = Mode.PASS
    assert isinstance(store(archive, other)[0], Receipt)
    assert is_there(archive, one)
    assert all(check.ok for check in archive.health.ready())


def test_the_objects_of_one_request_do_not_wait_one_after_the_other(
    archive: Archive, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes connections, and says nothing on them."""
    monkeypatch.setattr(patience, "CONNECT_SECONDS", 2)
    archive.close()
    slow = building.build(archive.settings)
    between.mode = Mode.HOLD
    sent = [secondary_capture() for _ in range(IN_ONE_REQUEST)]
    begun = time.monotonic()
    answers = store(slow, *sent)
    took = time.monotonic() - begun
    assert all(isinstance(answer, OutOfResources) for answer in answers)
    assert 1.5 < took < 6
    assert files(slow) == 0
    between.mode = Mode.PASS
    between.cut()
    deadline = time.monotonic() + 20
    while not isinstance(store(slow, sent[0])[0], Receipt):
        assert time.monotonic() < deadline, "it looks again by itself"
    slow.close()


def test_a_server_that_hangs_is_given_up(
    archive: Archive, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that exist are of no use: the kernel on the other side acknowledges, the server does not answer."""
    monkeypatch.setattr(patience, "CONNECT_SECONDS", 2)
    impatient = building.build(archive.settings)
    one = secondary_capture()
    assert isinstance(store(impatient, one)[0], Receipt)
    monkeypatch.setattr(patience, "ANSWER_SECONDS", 0.5)
    between.mode = Mode.HOLD
    begun = time.monotonic()
    with pytest.raises(OutOfResources):
        impatient.retrieve.instances(Scope(sop_instance_uids=(one.SOPInstanceUID,)))
    assert time.monotonic() - begun < 8
    between.mode = Mode.PASS
    between.cut()
    deadline = time.monotonic() + 20
    while True:
        try:
            assert is_there(impatient, one)
            break
        except OutOfResources:
            assert time.monotonic() < deadline
    impatient.close()


def test_who_holds_a_lock_keeps_nobody_for_good(
    archive: Archive, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOCK_SECONDS", 1)
    archive.close()
    impatient = building.build(archive.settings)
    url = archive.settings.index.url
    one = secondary_capture()
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE study IN EXCLUSIVE MODE")
        (answer,) = store(impatient, one)
        assert isinstance(answer, OutOfResources)
        other.rollback()
    assert isinstance(store(impatient, one)[0], Receipt)
    impatient.close()


def test_a_server_whose_connections_are_all_taken(archive: Archive, postgresql: Server) -> None:
    taken: list[psycopg.Connection] = []
    try:
        with suppress(psycopg.OperationalError):
            while True:
                taken.append(psycopg.connect(postgresql.url("postgres")))
        archive.database.close()
        one = secondary_capture()
        assert isinstance(store(archive, one)[0], OutOfResources)
    finally:
        for connection in taken:
            connection.close()
    deadline = time.monotonic() + 20
    while not isinstance(store(archive, one)[0], Receipt):
        assert time.monotonic() < deadline
    assert is_there(archive, one)


def test_more_threads_than_connections_take_turns(archive: Archive) -> None:
    sent = [secondary_capture() for _ in range(48)]
    with ThreadPoolExecutor(48) as pool:
        answers = [answer for [answer] in pool.map(lambda one: store(archive, one), sent)]
    assert all(isinstance(answer, Receipt) for answer in answers)
    assert all(is_there(archive, one) for one in sent)


def test_sessions_that_the_server_ends_lose_nothing(archive: Archive, postgresql: Server) -> None:
    """As a restart, or a failover, ends them all in the middle of what they do."""
    sent = [secondary_capture() for _ in range(40)]
    ended = threading.Event()

    def end_sessions() -> None:
        while not ended.wait(0.05):
            postgresql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname LIKE 'test_%' AND pid <> pg_backend_pid()"
            )

    ender = threading.Thread(target=end_sessions)
    ender.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = [answer for [answer] in pool.map(lambda one: store(archive, one), sent)]
    finally:
        ended.set()
        ender.join()
    assert all(isinstance(answer, Receipt | OutOfResources) for answer in answers)
    assert any(isinstance(answer, OutOfResources) for answer in answers)
    for one, answer in zip(sent, answers, strict=True):
        if isinstance(answer, Receipt):
            assert is_there(archive, one)
    missing = [one for one, answer in zip(sent, answers, strict=True) if not isinstance(answer, Receipt)]
    assert all(isinstance(answer, Receipt) for one in missing for answer in store(archive, one))
    assert all(is_there(archive, one) for one in sent)


def test_while_a_server_is_away_one_looks_and_the_others_are_told() -> None:
    now = 100.0
    reach = Reach(lambda: now)
    tried = 0

    def in_vain() -> None:
        nonlocal now, tried
        tried += 1
        now += 10
        raise psycopg.OperationalError

    for _ in range(5):
        with pytest.raises(psycopg.OperationalError):
            reach.connect(in_vain)
    assert tried == 1
    now += 10
    for _ in range(5):
        with pytest.raises(psycopg.OperationalError):
            reach.connect(in_vain)
    assert tried == 2
    now += 10
    assert reach.connect(lambda: "there") == "there"
    assert reach.connect(lambda: "there") == "there"


def test_to_be_refused_at_once_costs_nobody_anything() -> None:
    tried = 0

    def refused() -> None:
        nonlocal tried
        tried += 1
        raise psycopg.OperationalError

    reach = Reach(lambda: 100.0)
    for _ in range(5):
        with pytest.raises(psycopg.OperationalError):
            reach.connect(refused)
    assert tried == 5
