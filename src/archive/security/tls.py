"""TLS contexts for DIMSE, to the profiles of PS3.15 annex B.12 and B.13 (BCP 195: RFC 8996 and RFC 9325).

Only TLS 1.2 and 1.3 are spoken, 1.3 whenever the peer can. For 1.2 a profile is the list of cipher suites; those
of 1.3 are the three of OpenSSL, which Python does not let us choose from. There are no session tickets. What is left,
sessions of TLS 1.2 by their ID, ends with the context, as a resumed session does not look at certificates again.

A server's context is made again when one of its files has changed, for the connections that come after: nobody
restarts an archive because a certificate is to be renewed. What cannot be read then, such as a new certificate
whose key has yet to follow, is logged, and the old context stays. Without a change it is made anew every five minutes.
A client's context is made for each association.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from archive.dicom.errors import ConfigurationError, SecurityFailure
from archive.network.requestor import Protection
from archive.settings.doors import TLSSettings

_log = structlog.get_logger()

_RECOMMENDED = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
"""RFC 9325 4.2."""

PROFILES: Mapping[str, tuple[str, ...]] = {
    "bcp195": _RECOMMENDED,
    "bcp195-modified": (
        *_RECOMMENDED,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES256-CCM",
        "ECDHE-ECDSA-AES128-CCM",
        "ECDHE-ECDSA-AES256-CCM8",
        "ECDHE-ECDSA-AES128-CCM8",
    ),
}
"""Cipher suites for TLS 1.2 by profile, in OpenSSL's names: PS3.15 B.12, and B.13 as far as OpenSSL has them (it has
no Camellia in GCM mode)."""

TLS_1_3 = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")
"""Cipher suites for TLS 1.3, with every profile."""

_STRENGTH = "@SECLEVEL=2"
"""OpenSSL: no RSA key below 2048 bits, no curve below 224, no SHA-1 signature, in certificates and in handshakes."""

_CLIENT_CERTIFICATES: Mapping[str, ssl.VerifyMode] = {
    "no": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


def server(settings: TLSSettings, *, at_once: bool = True) -> Callable[[], ssl.SSLContext]:
    """What a listener asks for its context. Raises ConfigurationError naming the setting that is wrong; without
    `at_once` only who asks for the context then gets SecurityFailure, until the files are right."""
    files = (settings.certificate, settings.key, settings.client_ca, settings.crl)
    return Reloading(
        lambda: _server_context(settings), [Path(file) for file in files if file], at_once=at_once
    )


def towards(settings: TLSSettings, host: str, certificate: str) -> Protection:
    """TLS for an association of ours with this host. A peer whose entry names its certificate is known by that,
    whatever host name it has been made for; otherwise by its host name, unless `tls.check_host` is off. The
    context is made when it is needed, and raises ConfigurationError then."""
    by_name = settings.check_host and not certificate
    return Protection(lambda: _client_context(settings, by_name), host, certificate)


LONGEST_LIFE = 300.0
"""Seconds that a server's context, and with it a session that may be resumed, lives at most."""
_RETRY_SECONDS = 1.0
"""Between attempts where there has been no context yet."""


class Reloading:
    """A context that is made again when one of the files has changed, or when it is old."""

    def __init__(
        self,
        make: Callable[[], ssl.SSLContext],
        files: Sequence[Path],
        clock: Callable[[], float] = time.monotonic,
        *,
        at_once: bool = True,
    ) -> None:
        self._make = make
        self._files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._state, self._made = self._look(), clock()
        self._context: ssl.SSLContext | None = None
        if at_once:
            self._context = make()
        else:
            self._renew(changed=False)

    def __call__(self) -> ssl.SSLContext:
        with self._lock:
            state, now = self._look(), self._clock()
            changed = state != self._state
            if changed or now - self._made >= (LONGEST_LIFE if self._context else _RETRY_SECONDS):
                self._state, self._made = state, now
                self._renew(changed)
            if self._context is None:
                raise SecurityFailure("TLS failed: our own certificate cannot be used; the log says why")
            return self._context

    def _renew(self, changed: bool) -> None:
        try:
            self._context = self._make()
        except ConfigurationError as error:
            _log.error("tls_files_not_taken", reason=error.reason)
        else:
            if changed:
                _log.info("tls_files_taken")

    def _look(self) -> list[tuple[int, ...]]:
        """What changes when a file is written again or replaced."""
        return [_identity(path) for path in self._files]


def _identity(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _server_context(settings: TLSSettings) -> ssl.SSLContext:
    if not settings.certificate:
        raise ConfigurationError(
            "tls.certificate: TLS needs the PEM file with the certificate of the archive"
        )
    verify = _CLIENT_CERTIFICATES[settings.client_certificates]
    if verify is not ssl.CERT_NONE and not settings.client_ca:
        raise ConfigurationError(
            "tls.client_ca: certificates of peers are asked for, so name the PEM file with the CAs that sign them, "
            'or set tls.client_certificates = "no"'
        )
    context = _context(ssl.PROTOCOL_TLS_SERVER, settings)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    context.verify_mode = verify
    if verify is not ssl.CERT_NONE:
        _trust(context, settings.client_ca, "tls.client_ca")
        _heed_revocations(context, settings)
    return context


def _client_context(settings: TLSSettings, check_host: bool) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_CLIENT, settings)
    context.check_hostname = check_host
    trusted = settings.server_ca or settings.client_ca
    if trusted:
        _trust(context, trusted, "tls.server_ca" if settings.server_ca else "tls.client_ca")
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    _heed_revocations(context, settings)
    return context


def _context(protocol: int, settings: TLSSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.set_ciphers(":".join((*PROFILES[settings.profile], _STRENGTH)))
    if settings.certificate:
        _prove(context, settings)
    return context


def _prove(context: ssl.SSLContext, settings: TLSSettings) -> None:
    """Loads certificate and key. A key that needs a password would make OpenSSL ask for it on the terminal."""
    try:
        context.load_cert_chain(settings.certificate, settings.key or None, password=lambda: "")
    except ssl.SSLError as error:
        why = (error.reason or "it cannot be read").lower().replace("_", " ")
        raise ConfigurationError(
            f"tls.certificate, tls.key: not a PEM certificate and its key without a password ({why})"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"tls.certificate, tls.key: cannot be read ({error.strerror})") from None


def _trust(context: ssl.SSLContext, file: str, setting: str) -> None:
    """Trusts the certificates in this file: CAs, or the very certificates of single peers."""
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        raise ConfigurationError(f"{setting}: {file} holds no PEM certificate") from None
    except OSError as error:
        raise ConfigurationError(f"{setting}: {file} cannot be read ({error.strerror})") from None


def _heed_revocations(context: ssl.SSLContext, settings: TLSSettings) -> None:
    """With revocation lists, every CA of a chain needs one that has not expired: without, nobody knows."""
    if settings.crl:
        _trust(context, settings.crl, "tls.crl")
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
