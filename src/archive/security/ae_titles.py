"""AE titles: what one is, and who is let in. Pure rules; the index keeps the entries, services ask.

This machine is trusted: from loopback any calling AE title is served. Another host is served only if its
calling AE title is known and, where the entry names an address, comes from there. An AE title is no secret,
so this keeps out mistakes and strays, not attackers; for those there is TLS.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from archive.dicom.errors import CallerRefused, ConfigurationError
from archive.security.rules import DEFAULT_RULES, Rules

_REJECTED_PERMANENT = 1
_SERVICE_USER = 1
_CALLING_NOT_RECOGNIZED = 3
_CALLED_NOT_RECOGNIZED = 7

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class AETitle:
    """An application entity that we know: where it listens, and with that, who may call us by its title."""

    title: str
    host: str
    port: int
    rules: Rules = DEFAULT_RULES


def normalise(title: str) -> str:
    """Without the padding: leading and trailing spaces are not significant (PS3.5 6.2), some callers pad with
    NUL."""
    return title.strip(" \0")


def check(entry: AETitle) -> AETitle:
    """The entry with its title normalised; raises ConfigurationError if there can be no such AE (PS3.5 6.2,
    VR AE)."""
    title = normalise(entry.title)
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ConfigurationError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    if not 1 <= entry.port <= 65535:
        raise ConfigurationError("a port is a number from 1 to 65535")
    if not entry.host.strip() or len(entry.host) > 255:
        raise ConfigurationError("a host is a name or an address")
    return AETitle(title, entry.host.strip(), entry.port, entry.rules)


def decide(calling: str, called: str, address: str, own_title: str, known: AETitle | None) -> None:
    """Let a caller in or raise CallerRefused (PS3.8 Table 9-21). `known`: the entry for `calling`, if any."""
    if normalise(called) != normalise(own_title):
        raise _refused("the called AE title is not ours", _CALLED_NOT_RECOGNIZED)
    if not normalise(calling).isprintable():
        raise _refused("the calling AE title holds control characters", _CALLING_NOT_RECOGNIZED)
    caller = _parsed(address)
    if caller is not None and caller.is_loopback:
        return
    if known is None or normalise(calling) != normalise(known.title):
        raise _refused("the calling AE title is not known", _CALLING_NOT_RECOGNIZED)
    expected = _parsed(known.host)
    if expected is not None and expected != caller:
        raise _refused("the calling AE title is known at another address", _CALLING_NOT_RECOGNIZED)


def _refused(reason: str, diagnostic: int) -> CallerRefused:
    return CallerRefused(reason, _REJECTED_PERMANENT, _SERVICE_USER, diagnostic)


def _parsed(host: str) -> IPAddress | None:
    """The address that the text spells, an IPv4 one unwrapped from IPv6; None for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0].strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
