"""The twenty traps of the libraries (dimse.md 3.2), each with the tests that keep us out of it.

pynetdicom remains the library of codecs and tables; its sockets, threads and service classes are not used, and these
tests are why. Where a trap needed a test of its own at the level of the network, it is below; the others are where
their behaviour lives, and the table names them, so that none is lost in a change.
"""

from __future__ import annotations

import ast
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from archive.dicom.errors import CallerRefused, PeerUnreachable
from archive.network import pdu
from archive.network.requestor import Proposal, open_association
from archive.network.transport import Deadlines
from association_peers import IMPLICIT, PATIENCE, VERIFICATION, Policy, Server, associate_request
from hostile import rejected, stores_one

TESTS = Path(__file__).resolve().parents[1]

TRAPS: dict[str, list[str]] = {
    "T1 half a PDU header": ["network/test_hostile_peers.py::test_d2_the_deadline_of_a_pdu_does_not_move"],
    "T2 TLS handshake in the accept loop": [
        "network/test_tls_connections.py::"
        "test_d3_silent_and_slow_connections_to_the_port_for_tls_keep_nobody_waiting"
    ],
    "T3 more than 1024 open files": [
        "network/test_hostile_requests.py::test_more_than_1024_open_files_do_not_matter"
    ],
    "T4 no cap on the length of a PDU": [
        "network/test_hostile_peers.py::test_d4_a_long_pdu_before_the_association_is_refused_at_its_header",
        "network/test_hostile_peers.py::test_d5_p_data_longer_than_agreed",
    ],
    "T5 odd AE titles are aborted": [
        "network/test_hostile_requests.py::test_d10_strange_calling_ae_titles_reach_the_policy",
        "network/test_library_traps.py::test_t5_odd_titles_that_are_not_wanted_are_rejected_and_not_aborted",
        "dimse/test_dimse_rights.py::test_odd_titles_are_served_when_the_entry_says_so",
    ],
    "T6 a data set in memory": ["e2e/test_big_objects.py::test_by_c_store"],
    "T7 temporary files that stay": [
        "dimse/test_dimse_store.py::test_a_sender_that_goes_away_leaves_nothing"
    ],
    "T8 a full disk is a dropped connection": ["dimse/test_dimse_store.py::test_no_room"],
    "T9 decoded and encoded again for C-MOVE": [
        "dimse/test_dimse_retrieve.py::test_move_passes_stored_bytes_through",
        "dimse/test_dimse_retrieve.py::test_get_passes_stored_bytes_through",
    ],
    "T10 Move Originator is the archive": ["remote/test_store_scu.py::test_move_originator_is_named"],
    "T11 an unreachable destination is A801": ["dimse/test_dimse_retrieve.py::test_dead_destination"],
    "T12 no timeout for connecting": [
        "network/test_library_traps.py::test_t12_a_host_that_does_not_answer_is_given_up_in_time",
        "network/test_network_peers.py::test_a_peer_that_never_answers_is_given_up",
    ],
    "T13 an unknown SOP class aborts": [
        "dimse/test_dimse_store.py::test_another_sop_class_than_the_context_s",
        "dimse/test_dimse_store.py::test_an_operation_in_another_s_context",
    ],
    "T14 any transfer syntax is accepted blindly": [
        "dimse/test_contexts.py::test_transfer_syntax_of_storage",
        "dimse/test_contexts.py::test_services_speak_little_endian_only",
        "dimse/test_dimse_store.py::test_private_class_in_a_private_transfer_syntax",
    ],
    "T15 an operations window without answer": [
        "network/test_network_peers.py::test_async_operations_window_is_answered_one_one"
    ],
    "T16 N-EVENT-REPORT from inside N-ACTION": [
        "dimse/test_storage_commitment.py::test_what_is_stored_is_promised_on_the_association_that_asked"
    ],
    "T17 ten associations, all counted together": [
        "network/test_hostile_requests.py::test_d9_associations_over_the_limit_are_rejected_at_once",
        "dimse/test_dimse_rights.py::test_a_limit_per_ae_title",
    ],
    "T18 identifiers are decoded for the log": [
        "dimse/test_dimse_faults.py::test_no_log_line_names_a_patient"
    ],
    "T19 two polling threads for each association": [
        "network/test_library_traps.py::test_t19_an_association_at_rest_costs_one_thread_and_no_time"
    ],
    "T20 C-CANCEL must be asked for": [
        "network/test_network_peers.py::test_c_cancel_is_seen_while_an_operation_runs",
        "dimse/test_dimse_find.py::test_cancel",
    ],
}


def test_there_are_twenty() -> None:
    assert [name.split()[0] for name in TRAPS] == [f"T{number}" for number in range(1, 21)]


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_has_its_tests(trap: str) -> None:
    for named in TRAPS[trap]:
        file, function = named.split("::")
        tree = ast.parse((TESTS / file).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, named


@pytest.mark.parametrize(
    "calling", [b" " * 16, bytes(16), b"MRI\\1".ljust(16), "MÜNCHEN".encode("latin-1").ljust(16)]
)
def test_t5_odd_titles_that_are_not_wanted_are_rejected_and_not_aborted(
    serving: Callable[..., Server], calling: bytes
) -> None:
    """T5: the modality's log says "calling AE title not recognized", and not "aborted"."""
    title = calling.decode("latin-1").strip(" \0")
    server = serving(policy=Policy({title: CallerRefused("not known", 1, 1, 3)}))
    request = bytearray(associate_request())
    request[26:42] = calling
    with server.connect() as peer:
        peer.send(bytes(request))
        assert peer.receive() == rejected(1, 1, 3)
    assert stores_one(server)


def test_t12_a_host_that_does_not_answer_is_given_up_in_time() -> None:
    """T12: its queue is full, so its kernel drops our SYN, as a host that is switched off does."""
    with ExitStack() as held, socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        began = time.monotonic()
        with pytest.raises(PeerUnreachable, match="timed out"):
            open_association(
                "127.0.0.1",
                full.getsockname()[1],
                calling_ae_title="A",
                called_ae_title="B",
                contexts=[Proposal(VERIFICATION, (IMPLICIT,))],
                deadlines=Deadlines(connect=0.3),
            )
        assert time.monotonic() - began < PATIENCE / 2


def test_t19_an_association_at_rest_costs_one_thread_and_no_time(serving: Callable[..., Server]) -> None:
    """T19: fifty associations that say nothing leave the processor to those that do."""
    server = serving()
    before = set(threading.enumerate())
    with ExitStack() as held:
        for _ in range(50):
            held.enter_context(server.connect()).associate()
        assert len(set(threading.enumerate()) - before) == 50
        used = time.process_time()
        threading.Event().wait(1)
        assert time.process_time() - used < 0.3
    with server.connect() as peer:
        peer.send(associate_request())
        assert peer.receive()[0] == pdu.A_ASSOCIATE_AC
