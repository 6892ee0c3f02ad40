"""C-ECHO says at which step it ended: an administrator needs the step, not a False."""

from __future__ import annotations

from archive.remote.echo_scu import Step, echo
from archive.remote.peer import Peer
from receivers import dead_port, receiver, receiver_without_status, silent_listener


def peer(host: str, port: int) -> Peer:
    return Peer(
        host, port, called_ae_title="X", calling_ae_title="Y", connect_deadline=0.5, response_deadline=0.5
    )


def test_answered() -> None:
    with receiver([]) as received:
        outcome = echo(received.peer())
    assert outcome.ok
    assert outcome.step is Step.ANSWERED
    assert outcome.reason == ""


def test_host_name() -> None:
    outcome = echo(peer("no-such-host.invalid", 104))
    assert outcome.step is Step.HOST_NAME
    assert "no-such-host.invalid" in outcome.reason
    assert not outcome.ok


def test_connect() -> None:
    outcome = echo(peer("127.0.0.1", dead_port()))
    assert outcome.step is Step.CONNECT
    assert "firewall" in outcome.reason
    assert outcome.reason


def test_rejected_says_why() -> None:
    with receiver([], only_from=["OTHER"]) as received:
        outcome = echo(received.peer())
    assert outcome.step is Step.REJECTED
    assert "calling" in outcome.reason.lower()


def test_silence() -> None:
    with silent_listener() as port:
        outcome = echo(peer("127.0.0.1", port))
    assert outcome.step in (Step.CONNECT, Step.NO_ANSWER)
    assert not outcome.ok


def test_an_answer_without_status_is_none() -> None:
    with receiver_without_status("") as odd:
        outcome = echo(odd)
    assert outcome.step is Step.NO_ANSWER
    assert not outcome.ok


def test_verification_not_accepted() -> None:
    ct_only = [("1.2.840.10008.5.1.4.1.1.2", ["1.2.840.10008.1.2"])]
    with receiver(ct_only, verification=False) as received:
        outcome = echo(received.peer())
    assert outcome.step is Step.NO_CONTEXT
