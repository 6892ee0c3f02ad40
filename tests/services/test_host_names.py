"""The addresses of host names: asked for seldom, and kept while nobody answers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from archive.security.admission import IPAddress, parsed
from archive.services import host_names
from archive.services.host_names import KEPT_SECONDS, RETRY_SECONDS, HostNames

ONE, TWO = (frozenset(filter(None, (parsed(address),))) for address in ("192.0.2.1", "192.0.2.2"))


class Names:
    """A name server with a switch, and a clock."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0
        self.answer: frozenset[IPAddress] | None = ONE
        self.names = HostNames(self.resolve, lambda: self.now, patience=30, first_patience=30)

    def resolve(self, _: str) -> frozenset[IPAddress]:
        self.asked += 1
        if self.answer is None:
            raise OSError
        return self.answer

    def found(self) -> frozenset[IPAddress] | None:
        return self.names.addresses("ct1")


def test_an_answer_is_kept_for_a_while() -> None:
    server = Names()
    assert server.found() == server.found() == ONE
    assert server.asked == 1
    server.answer = TWO
    server.now += KEPT_SECONDS
    assert server.found() == TWO


def test_what_a_name_meant_last_holds_while_nobody_answers() -> None:
    """A name server that is down keeps no modality out."""
    server = Names()
    server.found()
    server.answer = None
    server.now += KEPT_SECONDS
    assert server.found() == server.found() == ONE
    assert server.asked == 2
    server.answer = TWO
    server.now += RETRY_SECONDS
    assert server.found() == TWO


def test_a_name_that_never_meant_anything_is_none() -> None:
    server = Names()
    server.answer = None
    assert server.found() is None
    server.answer = ONE
    assert server.found() is None
    server.now += RETRY_SECONDS
    assert server.found() == ONE


def test_the_system_is_asked() -> None:
    assert host_names.resolved("127.0.0.1") == frozenset(filter(None, (parsed("127.0.0.1"),)))
    assert HostNames().addresses("." * 300) is None


def test_a_name_server_that_is_silent_holds_up_nobody_whose_name_was_known() -> None:
    """It is asked once, whoever waits; when it answers at last, that is in effect."""
    now, silent, asked = [0.0], threading.Event(), []

    def resolve(_: str) -> frozenset[IPAddress]:
        asked.append(1)
        assert silent.wait(60)
        return TWO if len(asked) > 1 else ONE

    silent.set()
    names = HostNames(resolve, lambda: now[0], patience=0.05)
    assert names.addresses("ct1") == ONE
    silent.clear()
    now[0] += KEPT_SECONDS
    with ThreadPoolExecutor(20) as callers:
        began = time.monotonic()
        assert list(callers.map(names.addresses, ["ct1"] * 20)) == [ONE] * 20
        assert time.monotonic() - began < 20
    assert len(asked) == 2
    silent.set()
    while names.addresses("ct1") != TWO:
        assert time.monotonic() - began < 30


def test_a_name_that_nobody_answers_for_is_waited_for_only_so_long() -> None:
    silent = threading.Event()

    def resolve(_: str) -> frozenset[IPAddress]:
        assert silent.wait(60)
        return ONE

    names = HostNames(resolve, first_patience=0.05)
    assert names.addresses("ct1") is names.addresses("ct1") is None
    silent.set()
    began = time.monotonic()
    while names.addresses("ct1") != ONE:
        assert time.monotonic() - began < 30
