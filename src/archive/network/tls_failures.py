"""Why TLS failed, in words that name the next step. OpenSSL's own are kept where there are no better ones: they
speak of protocol and certificates, never of a patient."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

_NO_TLS = "what it sent is no TLS: one side is set up for TLS, and the other is not"
_DISTRUSTED = "it does not trust our certificate: it needs the CA that has signed it"

_REASONS: Mapping[str, str] = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "BAD_RECORD_TYPE": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNEXPECTED_MESSAGE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "HTTP_REQUEST": "it sent an HTTP request: this port is for DICOM over TLS",
    "HTTPS_PROXY_REQUEST": "it sent an HTTP request: this port is for DICOM over TLS",
    "NO_SHARED_CIPHER": "it offers no cipher suite that the TLS profile allows",
    "UNSUPPORTED_PROTOCOL": "it offers no TLS 1.2 or 1.3: older versions are refused (RFC 8996)",
    "VERSION_TOO_LOW": "it offers no TLS 1.2 or 1.3: older versions are refused (RFC 8996)",
    "NO_SHARED_SIGNATURE_ALGORITHMS": "it cannot check the kind of key that our certificate has",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate, and one is required",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of ours, and we have none it takes",
    "TLSV1_ALERT_UNKNOWN_CA": _DISTRUSTED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _DISTRUSTED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _DISTRUSTED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it says that our certificate has been revoked",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it found no version, cipher suite or certificate in common with us",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it refuses TLS 1.2 and 1.3",
}
"""By OpenSSL's name of the reason."""


def why(error: Exception) -> str:
    """One sentence for a person."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS failed: its certificate is not accepted: {error.verify_message}"
    name = getattr(error, "reason", None) or ""
    return "TLS failed: " + _REASONS.get(name, name.lower().replace("_", " ") or "no reason was given")
