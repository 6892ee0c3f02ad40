"""A second factor for people with a password here: codes of a device that change with time (TOTP, RFC 6238), and codes
for who has lost it.

SHA-1, six digits and thirty seconds, as every device knows no other (RFC 6238 1.2). A code is accepted once (5.2), one
step early or late (6).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

import pyotp

STEP_SECONDS = 30
DRIFT = 1
"""Steps that the clocks may differ: what is more lets more codes be guessed."""
DIGITS = 6
RECOVERY_CODES = 10
LONGEST_CODE = 64
_RECOVERY_BYTES = 10
_SPACES = re.compile(r"[\s-]")


def new_factor() -> str:
    """A secret to be shared with a device, in base 32: 160 bits, as RFC 4226 4 (R6) asks for."""
    return pyotp.random_base32()


def address(secret: str, name: str, issuer: str) -> str:
    """What a device reads from a QR code (otpauth)."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def step_of(secret: str, code: str, now: float, last: int = -1) -> int | None:
    """The time step that this is the code of, if it may be accepted: this one or one beside it, and later than the last
    one that was."""
    given, present = normalised(code).encode(), int(now // STEP_SECONDS)
    codes = pyotp.HOTP(secret, digits=DIGITS)
    found = None
    for step in range(max(present - DRIFT, 0), present + DRIFT + 1):
        if hmac.compare_digest(codes.at(step).encode(), given) and step > last and found is None:
            found = step
    return found


def is_of_device(code: str) -> bool:
    """Whether it has the form of one that changes with time."""
    short = normalised(code)
    return len(short) == DIGITS and short.isascii() and short.isdigit()


def new_recovery_codes() -> list[str]:
    """Codes for who has lost the device, each for once; 80 bits each."""
    return [_grouped(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def recovery_digest(code: str) -> str:
    """What is kept of it. No salt and no cost, as nobody guesses it; no digest of a session or token is alike."""
    return hashlib.sha256(f"recovery {normalised(code)}".encode()).hexdigest()


def normalised(code: str) -> str:
    """As it is compared: people divide it, and write it in capitals."""
    return _SPACES.sub("", code[:LONGEST_CODE]).lower()


def _grouped(random: bytes) -> str:
    text = base64.b32encode(random).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
