"""The audit trail goes to a syslog receiver over TLS, whole and in order, however often that one is away."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from archive.audit import codes, events, syslog
from archive.audit.events import Reporter
from archive.audit.syslog import Told
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import PeerFailure
from archive.security.actor import Actor
from certificates import Authority, Proof
from ports import free_port

SCANNER = Actor("DIMSE", "192.0.2.7", "SCÄNNER")
SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).parents[1] / "audit" / "audit_message.rng"))
RSYSLOG = "/usr/sbin/rsyslogd"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def proof(authority: Authority) -> Proof:
    return authority.proof("receiver", hosts=("127.0.0.1", "localhost"))


@contextmanager
def exporting(archive: Archive, authority: Authority, port: int) -> Iterator[Archive]:
    """The same archive, told where the receiver is."""
    settings = replace(
        archive.settings,
        audit=replace(archive.settings.audit, syslog=f"localhost:{port}"),
        tls=replace(archive.settings.tls, server_ca=str(authority.file)),
    )
    opened = building.build(settings)
    yield opened
    opened.close()


def happened(archive: Archive, number: int) -> None:
    for each in range(number):
        archive.auditing.refused(SCANNER, f"reason {each}\nwith a line")
    archive.auditing.trail.flush()


class Receiver:
    """Reads what one connection after the other brings. Those in `breaking` are cut off without having been read."""

    def __init__(self, proof: Proof, breaking: int = 0) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(proof.chain, proof.key)
        self._breaking = breaking
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
                with self._context.wrap_socket(plain, server_side=True) as secured:
                    if self._breaking:
                        self._breaking -= 1
                        secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        continue
                    while piece := secured.recv(65536):
                        self.received += piece
                    secured.unwrap()
            except (OSError, ValueError):
                if self._listener.fileno() < 0:
                    return

    def close(self) -> None:
        self._listener.close()

    @property
    def messages(self) -> list[bytes]:
        found, left = [], self.received
        while left:
            length, _, left = left.partition(b" ")
            found.append(left[: int(length)])
            left = left[int(length) :]
        return found


def test_a_frame_is_what_the_rfcs_say() -> None:
    message = events.security_alert(
        Reporter("ÄRCHIVE 1"), 1.5, SCANNER, codes.NODE_AUTHENTICATION, "a\nb", about="node"
    )
    whole = syslog.frame(Told(7, "ab" * 32, message), "host name")
    length, _, text = whole.partition(b" ")
    assert int(length) == len(text)
    head, _, body = text.partition(b"\xef\xbb\xbf")
    assert re.fullmatch(
        rb"<85>1 1970-01-01T00:00:01\.500Z host_name archive _RCHIVE_1 DICOM\+RFC3881 "
        rb'\[chain@32473 position="7" hash="(ab){32}"\] ',
        head,
    )
    SCHEMA.assertValid(etree.fromstring(body))
    assert b"\n" not in body


def test_everything_arrives_once_and_in_order(archive: Archive, authority: Authority, proof: Proof) -> None:
    receiver = Receiver(proof)
    with exporting(archive, authority, receiver.port) as opened:
        happened(opened, 3)
        assert opened.audit_export.tell() == 3
        happened(opened, 2)
        assert opened.audit_export.tell() == 2
        assert opened.audit_export.tell() == 0
        hashes = [one.hash for one in opened.audit_log.all()]
    told = [re.search(rb'hash="(\w+)"', one) for one in receiver.messages]
    assert [one[1].decode() for one in told if one] == hashes
    receiver.close()


def test_what_was_not_read_is_told_again(archive: Archive, authority: Authority, proof: Proof) -> None:
    receiver = Receiver(proof, breaking=1)
    with exporting(archive, authority, receiver.port) as opened:
        happened(opened, 2)
        with pytest.raises(PeerFailure):
            opened.audit_export.tell()
        assert opened.audit_export.tell() == 2
    assert len(receiver.messages) == 2
    receiver.close()


def test_a_receiver_that_others_vouch_for_is_told_nothing(
    archive: Archive, authority: Authority, tmp_path: Path
) -> None:
    receiver = Receiver(Authority(tmp_path, "Other CA").proof("receiver", hosts=("localhost",)))
    with exporting(archive, authority, receiver.port) as opened:
        happened(opened, 1)
        with pytest.raises(PeerFailure, match="certificate"):
            opened.audit_export.tell()
    assert receiver.received == b""
    receiver.close()


def test_without_a_receiver_records_wait(archive: Archive, authority: Authority) -> None:
    with exporting(archive, authority, free_port()) as opened:
        happened(opened, 1)
        with pytest.raises(PeerFailure, match="refused"):
            opened.audit_export.tell()
        assert opened.audit_log.count() == 1


CONFIGURATION = """\
global(
  workDirectory="{folder}"
  defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{ca}"
  defaultNetstreamDriverCertFile="{certificate}"
  defaultNetstreamDriverKeyFile="{key}"
  maxMessageSize="256k"
)
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="whole" type="string" string="%procid% %msgid% %structured-data% %msg%\\n")
action(type="omfile" file="{folder}/received" template="whole")
"""


@pytest.mark.skipif(
    shutil.which("rsyslogd", path="/usr/sbin:/usr/bin") is None,
    reason="rsyslogd is not installed (rsyslog-gnutls)",
)
def test_rsyslog_takes_it(archive: Archive, authority: Authority, proof: Proof, tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "rsyslog"
    folder.mkdir()
    files = {"ca": authority.file, "certificate": proof.chain, "key": proof.key}
    (folder / "conf").write_text(CONFIGURATION.format(folder=folder, port=port, **files))
    command = [RSYSLOG, "-n", "-f", str(folder / "conf"), "-i", str(folder / "pid")]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as running,
        exporting(archive, authority, port) as opened,
    ):
        try:
            happened(opened, 3)
            deadline = time.monotonic() + 30
            while True:  # until it listens
                try:
                    assert opened.audit_export.tell() == 3
                    break
                except PeerFailure:
                    assert running.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.1)
            happened(opened, 1)
            assert opened.audit_export.tell() == 1
            while not (folder / "received").exists() or (folder / "received").read_text().count("\n") < 4:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            running.terminate()
    lines = (folder / "received").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    for number, line in enumerate(lines, 1):
        assert line.startswith(f'ARCHIVE DICOM+RFC3881 [chain@32473 position="{number}"')
        SCHEMA.assertValid(etree.fromstring(line[line.index("<?xml") :].encode()))
