"""Whoever is let in has a right to be: the decision against what it promises, over callers and entries at random."""

from __future__ import annotations

import ipaddress
import shlex

from hypothesis import given, settings
from hypothesis import strategies as st

from archive.dicom.errors import CallerRefused
from archive.network.caller import Caller, Certificate
from archive.security.admission import House, decide, parsed
from archive.security.ae_titles import AETitle
from archive.security.rules import Rules
from archive.security.titles import normalise

TITLES = st.sampled_from(["CT1", "ct1", "MR1", "", "R\xd6", "A'; id", "-x", "A\x1b"])
PROPER = st.sampled_from(["CT1", "ct1", "MR1"])
OURS = st.sampled_from(["ARCHIVE", "archive", "TEACHING", "OLD", ""])
ADDRESSES = st.sampled_from(
    ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1", "2001:db8::1", "127.0.0.1", "::1", "?"]
)
CERTIFICATES = st.sampled_from(
    [None, Certificate("ct1", ("ct1.example",), "ab" * 32), Certificate("x", (), "cd" * 32)]
)
NAMES = {"ct1.example": frozenset((ipaddress.ip_address("192.0.2.2"),)), "gone.example": None}

RULES = st.builds(
    Rules,
    addresses=st.sampled_from([(), ("192.0.2.0/24",), ("2001:db8::/64",)]),
    called=st.sampled_from([(), ("TEACHING",), ("OLD",), ("*",)]),
    aliases=st.sampled_from([(), ("",), ("RÖ",), ("R\xd6", "A\x1b")]),
    any_case=st.booleans(),
    require_tls=st.booleans(),
    certificate=st.sampled_from(["", "", "ct1", "sha256:" + "cd" * 32]),
)
ENTRIES = st.builds(
    AETitle, PROPER, st.sampled_from(["192.0.2.1", "ct1.example", "gone.example"]), st.just(104), RULES
)
CALLERS = st.builds(Caller, TITLES, OURS, ADDRESSES, st.booleans(), CERTIFICATES)


def calls_from_home(caller: Caller, entry: AETitle) -> bool:
    address = parsed(caller.address)
    if address is None:
        return False
    homes = {parsed(entry.host)} | set(NAMES.get(entry.host) or ())
    return address in homes or any(address in ipaddress.ip_network(net) for net in entry.rules.addresses)


def is_its_title(sent: str, entry: AETitle) -> bool:
    title = normalise(sent)
    return title == entry.title or (entry.rules.any_case and title.lower() == entry.title.lower())


def outcome(caller: Caller, house: House) -> tuple[AETitle | None, CallerRefused | None]:
    try:
        return decide(caller, house), None
    except CallerRefused as refused:
        return None, refused


@settings(max_examples=500)
@given(CALLERS, st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.title), st.booleans())
def test_whoever_is_let_in_has_a_right_to_be(caller: Caller, entries: list[AETitle], trust: bool) -> None:
    ours = ("ARCHIVE", "TEACHING")
    address = parsed(caller.address)
    here = trust and address is not None and address.is_loopback
    entry, refused = outcome(caller, House(ours, tuple(entries), NAMES.get, trust))
    if refused is not None:
        reply = refused.result, refused.source, refused.diagnostic
        assert reply in {(1, 1, 1), (1, 1, 3), (1, 1, 7), (2, 3, 1)}
        assert refused.remedy.isascii()
        assert refused.remedy.isprintable()
        shlex.split(refused.remedy.rpartition(", or ")[2] if "archive ae" in refused.remedy else "")
        return
    if entry is None:
        assert here
        assert caller.called_ae_title in ours
        return
    assert entry in entries
    assert calls_from_home(caller, entry) or (here and is_its_title(caller.calling_ae_title, entry))
    allowed = entry.rules.called or ours
    called = caller.called_ae_title
    folded = {title.lower() for title in allowed} if entry.rules.any_case else set()
    assert "*" in allowed or called in allowed or called.lower() in folded
    assert caller.secured or not (entry.rules.require_tls or entry.rules.certificate)
    if entry.rules.certificate:
        assert caller.certificate is not None
        assert entry.rules.certificate in ("ct1", f"sha256:{caller.certificate.sha256}")
