"""Who is let in. Pure rules: the service gathers what they need to know, and keeps the refusals.

This machine is trusted: from loopback any calling AE title is served, unless `dimse.trust_this_machine` says
otherwise. Another host is served only if its calling AE title is known and it calls from an address of that entry. An
AE title is no secret, so this keeps out mistakes and strays, not attackers; against those an entry can ask for TLS, a
certificate and a user identity, and what it asks for holds for this machine too.

Each refusal says what would let the caller in. The text is for an administrator to type, and callers choose parts of
it, so those are written in ASCII and quoted for the shell.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from archive.dicom.errors import CallerRefused
from archive.network.caller import Caller
from archive.security.ae_titles import AETitle
from archive.security.remedies import command, option
from archive.security.titles import escaped, is_title, normalise, same_bytes

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

PERMANENT, TRANSIENT = 1, 2
USER, ACSE, PRESENTATION = 1, 2, 3
NO_REASON, CALLING_NOT_RECOGNIZED, CALLED_NOT_RECOGNIZED = 1, 3, 7
TEMPORARY_CONGESTION, LOCAL_LIMIT_EXCEEDED = 1, 2
"""Result, source and reason of A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

ANY_TITLE = "*"
_USUAL_PORT = 104


@dataclass(frozen=True, slots=True)
class House:
    """What a decision needs besides the caller: our own titles, the entries that may be meant, the addresses of a host
    name (None: it cannot be found out), and whether this machine is trusted."""

    titles: tuple[str, ...]
    entries: tuple[AETitle, ...]
    addresses: Callable[[str], frozenset[IPAddress] | None]
    trust_this_machine: bool = True


def decide(caller: Caller, house: House) -> AETitle | None:
    """The entry by which a caller is let in; None for one of this machine that has none. Raises CallerRefused."""
    meant = tuple(_meant(caller.calling_ae_title, house.entries))
    address = parsed(caller.address)
    entry = _at_home(caller, meant, address, house)
    trusted = _is_trusted(address, house)
    _check_called(caller, entry or next(iter(() if trusted else meant), None), house)
    if entry is None and not trusted:
        raise _unknown(caller, meant, house)
    if entry is None and not normalise(caller.calling_ae_title).isprintable():
        raise _refused(
            "the calling AE title holds control characters", adding(caller.calling_ae_title, caller.address)
        )
    if entry is not None:
        _check_connection(caller, entry)
    return entry


def may_be_meant(sent: str, entry: AETitle) -> bool:
    """Whether this entry may be that of who sends this title."""
    return any(True for _ in _meant(sent, (entry,)))


def parsed(host: str) -> IPAddress | None:
    """The address that the text spells, an IPv4 one unwrapped from IPv6; None for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0].strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _meant(sent: str, entries: Iterable[AETitle]) -> Iterator[AETitle]:
    """The entries that may be that of who sends this title, the surest first."""
    title = normalise(sent)
    known = tuple(entries)
    yield from (one for one in known if one.title == title)
    yield from (one for one in known if _named_otherwise(title, one))
    yield from (one for one in known if _has_alias(title, one) and not _named_otherwise(title, one))


def _named_otherwise(title: str, entry: AETitle) -> bool:
    folded = entry.rules.any_case and title.casefold() == entry.title.casefold()
    return folded and title != entry.title


def _has_alias(title: str, entry: AETitle) -> bool:
    return title != entry.title and any(same_bytes(title, alias) for alias in entry.rules.aliases)


def _at_home(
    caller: Caller, meant: Iterable[AETitle], address: IPAddress | None, house: House
) -> AETitle | None:
    """The entry whose address the caller has. From a trusted machine its title is enough, an alias is not: a blank
    title there is nobody's in particular."""
    title = normalise(caller.calling_ae_title)
    for entry in meant:
        by_title = not _has_alias(title, entry)
        if (by_title and _is_trusted(address, house)) or _calls_from(address, entry, house):
            return entry
    return None


def _is_trusted(address: IPAddress | None, house: House) -> bool:
    return house.trust_this_machine and address is not None and address.is_loopback


def _calls_from(address: IPAddress | None, entry: AETitle, house: House) -> bool:
    if address is None:
        return False
    if any(address in ipaddress.ip_network(network) for network in entry.rules.addresses):
        return True
    named = parsed(entry.host)
    return address == named if named else address in (house.addresses(entry.host) or ())


def _check_called(caller: Caller, entry: AETitle | None, house: House) -> None:
    called = normalise(caller.called_ae_title)
    allowed = (entry.rules.called if entry else ()) or house.titles
    if ANY_TITLE in allowed or called in allowed:
        return
    if entry and entry.rules.any_case and called.casefold() in {title.casefold() for title in allowed}:
        return
    ours = " or ".join(house.titles)
    if entry and entry.rules.called and called in house.titles:
        remedy = _set(entry, *option("--called", called))
        raise _refused("the AE may not call us by this AE title", remedy, CALLED_NOT_RECOGNIZED)
    remedy = f"correct the called AE title at the sender to {ours}"
    if entry and is_title(called):
        kept = () if entry.rules.called else allowed
        options = [part for title in (*kept, called) for part in option("--called", title)]
        remedy += f", or {_set(entry, *options)}"
    raise _refused("the called AE title is not ours", remedy, CALLED_NOT_RECOGNIZED)


def _unknown(caller: Caller, meant: tuple[AETitle, ...], house: House) -> CallerRefused:
    if not meant:
        blank = not normalise(caller.calling_ae_title)
        return _refused(
            f"the calling AE title is {'blank' if blank else 'not known'}",
            adding(caller.calling_ae_title, caller.address),
        )
    entry = meant[0]
    remedy = _set(entry, "--address", caller.address)
    if parsed(entry.host) is None and house.addresses(entry.host) is None:
        return CallerRefused(
            f"the host name {escaped(entry.host)} of the AE cannot be resolved",
            TRANSIENT, PRESENTATION, TEMPORARY_CONGESTION, remedy,
        )  # fmt: skip
    return _refused("the calling AE title is known at another address", remedy)


def _check_connection(caller: Caller, entry: AETitle) -> None:
    rules = entry.rules
    if (rules.require_tls or rules.certificate) and not caller.secured:
        remedy = f"let it call over TLS, or {_set(entry, '--no-require-tls', '--certificate', '')}"
        raise _refused("the AE has to call over TLS", remedy, NO_REASON)
    shown = caller.certificate
    if rules.certificate and not (shown and shown.is_known_as(rules.certificate)):
        if shown is None:
            raise _refused("the AE shows no certificate", "let it show its client certificate", NO_REASON)
        remedy = f"if it is its own: {_set(entry, '--certificate', f'sha256:{shown.sha256}')}"
        raise _refused("the AE shows another certificate than its own", remedy, NO_REASON)


def _refused(reason: str, remedy: str, diagnostic: int = CALLING_NOT_RECOGNIZED) -> CallerRefused:
    return CallerRefused(reason, PERMANENT, USER, diagnostic, remedy)


def adding(calling_ae_title: str, address: str, *options: str) -> str:
    """The command that makes a stranger known. 104 stands for the port on which it listens, if it does."""
    title, place = normalise(calling_ae_title), (address or "HOST", str(_USUAL_PORT))
    if is_title(title) and not title.startswith("-"):
        return command("add", title, *place, *options)
    return command("add", "UNNAMED", *place, *option("--alias", escaped(title)), *options)


def _set(entry: AETitle, *options: str) -> str:
    return command("set", entry.title, *options)
