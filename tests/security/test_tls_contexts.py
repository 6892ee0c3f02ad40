"""TLS contexts: what they speak (PS3.15 B.12, B.13), whom they trust, and that new files are in effect at once
(dimse.md 1.1 rows "TLS 1.2/1.3" and "CRL / cert reload without restart")."""

from __future__ import annotations

import dataclasses
import datetime
import os
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.dicom.errors import ConfigurationError, SecurityFailure
from archive.security import tls
from archive.settings.doors import TLSSettings
from certificates import Authority, Proof, rsa_key


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def archive(authority: Authority) -> TLSSettings:
    return settings_of(authority, authority.proof("archive"))


def settings_of(authority: Authority, proof: Proof, **changes: object) -> TLSSettings:
    settings = TLSSettings(certificate=str(proof.chain), key=str(proof.key), client_ca=str(authority.file))
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


def meet(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str, str, str]:
    """One handshake: version, cipher suite, and the common name of the server as the client sees it. Raises what
    either side raises, first who does not like a certificate."""
    near, far = socket.socketpair()
    failures: list[Exception] = []

    def serve() -> None:
        try:
            with server.wrap_socket(far, server_side=True) as secured:
                secured.recv(1)
                secured.send(b"!")
        except (OSError, ValueError) as error:
            failures.append(error)
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    seen = ("", "", "")
    try:
        near.settimeout(20)
        with client.wrap_socket(near, server_hostname="localhost") as secured:
            secured.send(b"?")
            secured.recv(1)
            subject = str(dict(part[0] for part in secured.getpeercert()["subject"])["commonName"])  # type: ignore
            seen = str(secured.version()), secured.cipher()[0], subject  # type: ignore[index]
    except OSError as error:
        failures.append(error)
    near.close()
    thread.join()
    for failure in sorted(failures, key=lambda each: not isinstance(each, ssl.SSLCertVerificationError)):
        raise failure
    return seen


def client(settings: TLSSettings, version: ssl.TLSVersion | None = None, ciphers: str = "") -> ssl.SSLContext:
    context = tls.towards(settings, "localhost", "").context()
    if version is not None:
        context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def test_tls_1_3_is_preferred_and_1_2_is_spoken(archive: TLSSettings, authority: Authority) -> None:
    """PS3.15 B.12: servers and clients shall support TLS 1.2; servers shall prefer 1.3 if it is offered."""
    peer = settings_of(authority, authority.proof("peer"))
    version, cipher, _ = meet(tls.server(archive)(), client(peer))
    assert version == "TLSv1.3"
    assert cipher in tls.TLS_1_3
    version, cipher, _ = meet(tls.server(archive)(), client(peer, ssl.TLSVersion.TLSv1_2))
    assert version == "TLSv1.2"
    assert cipher in tls.PROFILES["bcp195"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(
    archive: TLSSettings, authority: Authority, version: ssl.TLSVersion
) -> None:
    """RFC 8996: TLS 1.0 and 1.1 must not be used."""
    old = client(settings_of(authority, authority.proof("peer")))
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    with pytest.raises(ssl.SSLError):
        meet(tls.server(archive)(), old)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize("profile", list(tls.PROFILES))
def test_each_profile_speaks_its_cipher_suites_and_no_other(
    authority: Authority, profile: str, kind: str
) -> None:
    key = rsa_key() if kind == "rsa" else None
    server = tls.server(settings_of(authority, authority.proof("archive", key=key), profile=profile))()
    peer = settings_of(authority, authority.proof("peer"))
    suites = [suite for suite in tls.PROFILES[profile] if kind.upper() in suite]
    assert len(suites) >= 2
    for suite in suites:
        assert meet(server, client(peer, ssl.TLSVersion.TLSv1_2, suite))[1] == suite
    for other in ("AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "AES128-SHA"):
        with pytest.raises(ssl.SSLError):
            meet(server, client(peer, ssl.TLSVersion.TLSv1_2, f"{other}:@SECLEVEL=0"))


def test_the_cipher_suites_of_tls_1_3_are_those_we_state(archive: TLSSettings) -> None:
    ciphers = {
        cipher["name"] for cipher in tls.server(archive)().get_ciphers() if cipher["protocol"] == "TLSv1.3"
    }
    assert ciphers == set(tls.TLS_1_3)


def test_a_key_that_is_too_short_is_refused(archive: TLSSettings, authority: Authority) -> None:
    """PS3.15 B.13: RSA keys of 2048 bits or more; BCP 195 says the same."""
    with pytest.raises(ConfigurationError, match=r"tls\.certificate"):
        tls.server(settings_of(authority, authority.proof("weak", key=rsa_key(1024))))
    weak = authority.proof("weak-peer", key=rsa_key(1024))
    context = ssl.create_default_context(cafile=authority.file)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(weak.chain, weak.key)
    with pytest.raises(ssl.SSLError):
        meet(tls.server(archive)(), context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_nothing_is_resumed_in_another_context(
    archive: TLSSettings, authority: Authority, version: ssl.TLSVersion
) -> None:
    """A resumed session does not look at certificates and revocation lists again: TLS 1.3 resumes nothing, TLS 1.2
    nothing that is older than the context, and that is never older than five minutes."""
    peer = ssl.create_default_context(cafile=authority.file)  # one that would like to resume
    peer.load_cert_chain(archive.certificate, archive.key)
    peer.maximum_version = version
    now = 0.0
    contexts = tls.Reloading(lambda: tls.server(archive)(), [], lambda: now)
    _, session = _resumes(contexts(), peer, None)
    again, session = _resumes(contexts(), peer, session)
    assert again == (version is ssl.TLSVersion.TLSv1_2)
    now = tls.LONGEST_LIFE
    late, _ = _resumes(contexts(), peer, session)
    assert not late


def _resumes(
    server: ssl.SSLContext, peer: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[bool, ssl.SSLSession | None]:
    near, far = socket.socketpair()
    thread = threading.Thread(target=_greet, args=(server, far))
    thread.start()
    with peer.wrap_socket(near, server_hostname="localhost", session=session) as secured:
        secured.recv(1)
        found, resumed = secured.session, secured.session_reused
        secured.unwrap().close()
    thread.join()
    return bool(resumed), found


def _greet(context: ssl.SSLContext, connection: socket.socket) -> None:
    with context.wrap_socket(connection, server_side=True) as secured:
        assert secured.getpeercert()  # resumed or not, it is known who that is
        secured.send(b"!")
        secured.unwrap().close()  # a session that was cut is not resumed anyway


def test_a_renewed_certificate_is_shown_without_restart(archive: TLSSettings, authority: Authority) -> None:
    contexts = tls.server(archive)
    peer = client(settings_of(authority, authority.proof("peer")))
    assert meet(contexts(), peer)[2] == "archive"
    assert contexts() is contexts()
    fresh = authority.proof("archive-2")
    _replace(fresh.chain, archive.certificate)
    assert meet(contexts(), peer)[2] == "archive"  # the key has yet to follow: the old one stays
    _replace(fresh.key, archive.key)
    assert meet(contexts(), peer)[2] == "archive-2"


def test_files_that_vanish_or_break_leave_the_old_context(archive: TLSSettings, authority: Authority) -> None:
    contexts = tls.server(archive)
    peer = client(settings_of(authority, authority.proof("peer")))
    Path(archive.certificate).write_text("no certificate")
    assert meet(contexts(), peer)[2] == "archive"
    Path(archive.certificate).unlink()
    assert meet(contexts(), peer)[2] == "archive"


def _replace(source: Path, target: str) -> None:
    shutil.copy(source, f"{target}.new")
    os.replace(f"{target}.new", target)


def test_a_worker_that_starts_amid_a_renewal_has_tls_when_that_is_done(
    archive: TLSSettings, authority: Authority
) -> None:
    """The certificate is new, its key has yet to follow: no reason to serve nobody, without TLS either."""
    renewed = authority.proof("renewed")
    _replace(renewed.chain, archive.certificate)
    with pytest.raises(ConfigurationError):
        tls.server(archive)
    contexts = tls.server(archive, at_once=False)
    with pytest.raises(SecurityFailure, match="certificate"):
        contexts()
    _replace(renewed.key, archive.key)
    peer = client(settings_of(authority, authority.proof("peer")))
    assert meet(contexts(), peer)[2] == "renewed"


def test_a_revoked_certificate_is_refused_once_the_list_says_so(
    archive: TLSSettings, authority: Authority
) -> None:
    peer = authority.proof("peer")
    other = authority.proof("other")
    archive = dataclasses.replace(archive, crl=str(authority.revocations()))
    contexts = tls.server(archive)
    assert meet(contexts(), client(settings_of(authority, peer)))[0]
    authority.revocations(peer)
    with pytest.raises(ssl.SSLError, match=r"(?i)revoked"):
        meet(contexts(), client(settings_of(authority, peer)))
    assert meet(contexts(), client(settings_of(authority, other)))[0]


def test_a_revoked_server_is_not_talked_to(archive: TLSSettings, authority: Authority) -> None:
    peer = settings_of(authority, authority.proof("peer"))
    ours = authority.proof("archive")
    revoking = dataclasses.replace(peer, crl=str(authority.revocations(ours)))
    with pytest.raises(ssl.SSLError, match="revoked"):
        meet(tls.server(settings_of(authority, ours))(), client(revoking))


def test_an_expired_list_lets_nobody_in(archive: TLSSettings, authority: Authority) -> None:
    """Nobody knows who has been revoked since."""
    expired = authority.revocations(valid=-datetime.timedelta(hours=1))
    contexts = tls.server(dataclasses.replace(archive, crl=str(expired)))
    with pytest.raises(ssl.SSLError, match=r"CRL has expired|certificate"):
        meet(contexts(), client(settings_of(authority, authority.proof("peer"))))


def test_one_device_can_be_trusted_by_its_own_certificate(authority: Authority, tmp_path: Path) -> None:
    """A certificate in `client_ca` is trusted though whoever signed it is not."""
    (tmp_path / "vendor").mkdir()
    vendor = Authority(tmp_path / "vendor", "Vendor CA")
    device, sibling = vendor.proof("device"), vendor.proof("sibling")
    archive = dataclasses.replace(
        settings_of(authority, authority.proof("archive")), client_ca=str(device.chain)
    )
    trusting = {"client_ca": str(authority.file)}
    assert meet(tls.server(archive)(), client(settings_of(vendor, device, **trusting)))[0]
    with pytest.raises(ssl.SSLError):
        meet(tls.server(archive)(), client(settings_of(vendor, sibling, **trusting)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda _: {"certificate": ""}, "tls.certificate"),
        (lambda _: {"certificate": "/nowhere.pem"}, "tls.certificate"),
        (lambda a: {"key": str(a.proof("another").key)}, "tls.key"),
        (lambda a: {"certificate": str(a.proof("another").key)}, "tls.certificate"),
        (lambda _: {"client_ca": ""}, "tls.client_ca"),
        (lambda _: {"client_ca": "/nowhere.pem"}, "tls.client_ca"),
        (lambda a: {"client_ca": str(a.proof("another").key)}, "tls.client_ca"),
        (lambda _: {"crl": "/nowhere.crl"}, "tls.crl"),
        (lambda a: {"crl": str(a.proof("another").key)}, "tls.crl"),
    ],
)
def test_what_cannot_be_used_is_refused_naming_the_setting(
    archive: TLSSettings, authority: Authority, change: Callable[[Authority], dict[str, str]], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named.replace(".", r"\.")):
        tls.server(dataclasses.replace(archive, **change(authority)))


def test_a_key_with_a_password_is_refused_and_not_asked_for(
    archive: TLSSettings, authority: Authority
) -> None:
    from cryptography.hazmat.primitives import serialization as s

    locked = Path(archive.key).with_suffix(".locked")
    key = s.load_pem_private_key(Path(archive.key).read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(ConfigurationError, match="password"):
        tls.server(dataclasses.replace(archive, key=str(locked)))


def test_the_settings_offer_the_profiles_there_are() -> None:
    choices = TLSSettings.__dataclass_fields__["profile"].metadata["choices"]
    assert choices == tuple(tls.PROFILES)
