"""DIMSE over TLS with DCMTK's tools and OpenSSL's own client (dimse.md 1.1: TLS 1.2/1.3 to BCP 195, client
certificates, certificates reloaded without restart; trap T2)."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset

import dcmtk
import scu
from archive_process import ArchiveServer, Finished, archive
from certificates import Authority, Proof
from holdings import instances_of, kept, save
from objects import mr, series

pytestmark = pytest.mark.usefixtures("dcmtk_tools")

ECHOED = "Received Echo Response (Success)"
STORED = "Received Store Response (Success)"


@dataclass(frozen=True)
class Site:
    """A running archive over TLS, the authority of the site, and a modality's certificate."""

    server: ArchiveServer
    authority: Authority
    modality: Proof
    folder: Path
    """Where the archive has its own certificate and key."""

    def run(self, tool: str, *arguments: object, proof: Proof | None = None) -> dcmtk.Run:
        """A tool with the modality's certificate, or another."""
        shown = proof or self.modality
        security = ["+tls", shown.key, shown.chain, "+cf", self.authority.file]
        return dcmtk.run(
            tool,
            "-v",
            *security,
            *arguments[:-1] if tool == "storescu" else arguments,
            *self.peer,
            *(arguments[-1] if tool == "storescu" else ()),  # type: ignore[misc]
        )

    @property
    def peer(self) -> list[object]:
        return ["-aec", self.server.ae_title, "127.0.0.1", self.server.tls_port]

    def echo(self, port: int) -> dcmtk.Run:
        """C-ECHO of a server over TLS at that port."""
        security = ["+tls", self.modality.key, self.modality.chain, "+cf", self.authority.file]
        return dcmtk.run("echoscu", *security, "127.0.0.1", port)

    def openssl(self, *options: str) -> str:
        """What `openssl s_client` says of a handshake, with the modality's certificate."""
        shown = ["-cert", str(self.modality.chain), "-key", str(self.modality.key)]
        trusted = ["-CAfile", str(self.authority.file), "-verify_return_error"]
        done = subprocess.run(
            [
                "openssl",
                "s_client",
                "-connect",
                f"127.0.0.1:{self.server.tls_port}",
                *shown,
                *trusted,
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return done.stdout.decode("utf-8", "replace")


def environment(folder: Path, authority: Authority) -> dict[str, str]:
    return {
        "ARCHIVE_TLS_LISTEN": "127.0.0.1:0",
        "ARCHIVE_TLS_CERTIFICATE": str(folder / "own.pem"),
        "ARCHIVE_TLS_KEY": str(folder / "own.key"),
        "ARCHIVE_TLS_CLIENT_CA": str(authority.file),
    }


def install(proof: Proof, folder: Path) -> None:
    """Put certificate and key where the archive looks for its own, each in one step."""
    for source, name in ((proof.chain, "own.pem"), (proof.key, "own.key")):
        shutil.copy(source, folder / "new")
        os.replace(folder / "new", folder / name)


def logged(server: ArchiveServer, words: str) -> bool:
    """Whether the log says so, in time: the client may be gone before the line is written."""
    deadline = time.monotonic() + 20
    pause = threading.Event()
    while words not in server.log and time.monotonic() < deadline:
        pause.wait(0.02)
    return words in server.log


@pytest.fixture(scope="module")
def site(module_archive: Callable[..., ArchiveServer], tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    install(authority.proof("archive"), folder)
    server = module_archive("--workers", "1", environment=environment(folder, authority))
    return Site(server, authority, authority.proof("modality"), folder)


@pytest.mark.parametrize("profile", ["--profile-bcp195", "--profile-bcp195-nd", "--profile-bcp195-ex"])
def test_echoscu_with_every_profile_that_is_not_broken(site: Site, profile: str) -> None:
    done = site.run("echoscu", profile)
    assert done.code == 0, done.output
    assert ECHOED in done.output


@pytest.mark.parametrize("profile", ["--profile-aes", "--profile-null"])
def test_retired_profiles_are_refused(site: Site, profile: str) -> None:
    """RSA key exchange with CBC, and no encryption at all (PS3.15 B.3, retired; RFC 9325 4.1)."""
    done = site.run("echoscu", profile)
    assert done.code != 0
    assert ECHOED not in done.output


def test_storescu_and_findscu(site: Site, tmp_path: Path) -> None:
    data_sets = series(mr, 3)
    paths = save(tmp_path, *data_sets)
    sent = site.run("storescu", "--repeat", 2, paths)
    assert sent.output.count(STORED) == 6, sent.output
    study = str(data_sets[0].StudyInstanceUID)
    assert instances_of(site.server, study) == {str(each.SOPInstanceUID) for each in data_sets}
    for data_set in data_sets:
        assert kept(site.server, data_set).PixelData == data_set.PixelData
    keys = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]
    found = site.run("findscu", *keys)
    assert f"[{study}" in found.output, found.output


def test_who_shows_no_certificate_or_a_strange_one_is_refused(site: Site, tmp_path: Path) -> None:
    anonymous = dcmtk.run("echoscu", "-v", "+tla", "-ic", *site.peer)
    stranger = site.run("echoscu", proof=Authority(tmp_path, "Strange CA").proof("stranger"))
    for done in (anonymous, stranger):
        assert done.code != 0
        assert ECHOED not in done.output
    assert logged(site.server, "it shows no certificate, and one is required")
    assert logged(site.server, "its certificate is not accepted")


def test_plain_dicom_goes_on_beside_it_and_is_refused_on_the_port_for_tls(site: Site) -> None:
    assert dcmtk.run("echoscu", *dcmtk.peer(site.server)).code == 0
    assert dcmtk.run("echoscu", *site.peer).code != 0
    assert logged(site.server, "what it sent is no TLS")


@pytest.mark.parametrize(
    ("options", "agreed"),
    [
        ([], "TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384"),
        (["-tls1_2"], "TLSv1.2, Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"),
        (
            ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
            "TLSv1.3, Cipher is TLS_CHACHA20_POLY1305_SHA256",
        ),
    ],
)
def test_openssl_agrees_on(site: Site, options: Sequence[str], agreed: str) -> None:
    said = site.openssl(*options)
    assert agreed in said, said
    assert "Verify return code: 0 (ok)" in said


@pytest.mark.parametrize(
    "options",
    [
        ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"],
        ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"],
    ],
    ids=" ".join,
)
def test_openssl_is_refused(site: Site, options: Sequence[str]) -> None:
    assert "Cipher is (NONE)" in site.openssl(*options)


def test_a_renewed_certificate_is_in_effect_at_once(site: Site, tmp_path: Path) -> None:
    """No restart: the next association sees the new certificate, of another authority even."""
    other = Authority(tmp_path, "New CA")
    trusting = Site(site.server, other, site.modality, site.folder)
    assert trusting.run("echoscu").code != 0
    install(other.proof("archive"), site.folder)
    try:
        assert trusting.run("echoscu").code == 0
    finally:
        install(site.authority.proof("archive"), site.folder)
    assert site.run("echoscu").code == 0


def known(site: Site, *arguments: object) -> Finished:
    """`archive ae …` beside the running archive."""
    given = environment(site.folder, site.authority)
    return archive("ae", *map(str, arguments), "--data", str(site.server.data), environment=given)


@contextmanager
def secured_storescp(site: Site, folder: Path, proof: Proof) -> Iterator[int]:
    """A stock storage SCP over TLS with this certificate, which wants one of the authority's."""
    port = dcmtk.free_port()
    command = [str(dcmtk.tool("storescp")), "+B", "+xa", "-od", str(folder)]
    security = ["+tls", str(proof.key), str(proof.chain), "+cf", str(site.authority.file)]
    process = subprocess.Popen([*command, *security, str(port)])
    try:
        deadline = time.monotonic() + dcmtk.START_SECONDS
        while site.echo(port).code:
            assert process.poll() is None
            assert time.monotonic() < deadline, "storescp does not answer"
        yield port
    finally:
        process.terminate()
        process.wait(dcmtk.START_SECONDS)


def test_c_move_to_a_destination_over_tls(site: Site, tmp_path: Path, received: Path) -> None:
    """PS3.15 B.12 as client; the destination's certificate is for its host, or bound to its entry."""
    data_sets = series(mr, 2)
    assert site.run("storescu", save(tmp_path / "sent", *data_sets)).output.count(STORED) == 2
    elsewhere = site.authority.proof("store-1", hosts=["store-1.example"])
    with secured_storescp(site, received, elsewhere) as port:
        assert known(site, "add", "STORESCP", "127.0.0.1", port, "--tls").code == 0
        echoed = known(site, "echo", "STORESCP")
        assert echoed.code == 1
        assert "TLS could not be agreed on" in echoed.stderr
        assert "certificate is not valid for '127.0.0.1'" in echoed.stderr
        assert moved(site, data_sets).failed == 2
        bound = ("--certificate", f"sha256:{elsewhere.sha256}")
        assert known(site, "add", "STORESCP", "127.0.0.1", port, "--tls", *bound).code == 0
        assert known(site, "echo", "STORESCP").code == 0
        assert moved(site, data_sets).completed == 2
    assert len(list(received.iterdir())) == 2


@dataclass(frozen=True)
class Moved:
    completed: int
    failed: int


def moved(site: Site, data_sets: Sequence[Dataset]) -> Moved:
    final = scu.move(
        site.server, "STORESCP", QueryRetrieveLevel="STUDY", StudyInstanceUID=data_sets[0].StudyInstanceUID
    )
    return Moved(int(final.NumberOfCompletedSuboperations), int(final.NumberOfFailedSuboperations))


def test_a_certificate_bound_to_an_ae_title(site: Site) -> None:
    """dimse.md 1.1 "mTLS + map client certificate to AE title": the title alone does not let anybody in."""
    other = site.authority.proof("other-modality")
    assert (
        known(site, "add", "CT_1", "127.0.0.1", 104, "--require-tls", "--certificate", "modality").code == 0
    )
    calling = ("-aet", "CT_1")
    assert site.run("echoscu", *calling).code == 0
    assert site.run("echoscu", *calling, proof=other).code != 0
    assert dcmtk.run("echoscu", *calling, *dcmtk.peer(site.server)).code != 0
    said = known(site, "refused").stdout
    assert "CT_1" in said


def test_what_is_wrong_with_certificates_is_said_before_anything_starts(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    given = environment(tmp_path, authority)
    done = archive(
        "serve", "--http", "127.0.0.1:0", "--dimse", "127.0.0.1:0", "--data", str(tmp_path / "data"),
        environment=given,
    )  # fmt: skip
    assert done.code == 2
    assert "tls.certificate" in done.stderr
    done = archive("config", "check", environment=given)
    assert done.code == 2
    assert "tls.certificate" in done.stderr
    done = archive("config", "check", environment={"ARCHIVE_TLS_LISTEN": "2762"})
    assert done.code == 2
    assert "tls.listen" in done.stderr
