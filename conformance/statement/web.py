"""The HTTP half: resources, media types, parameters, statuses, all from the route table."""

from __future__ import annotations

from collections.abc import Iterable

from archive.web import store_response
from archive.web.description.route import About, Route
from archive.web.http import charset
from archive.web.routes import ROUTES
from conformance.statement.table import Table, meaning_of, settings_of

MOST_NAMED = 8
"""Transactions that are named beside a status; more are all but a few."""


def resources() -> Table:
    """Those of DICOMweb; an extension is marked as one."""
    rows = (
        (row.method, f"`{row.template}`", row.name, row.clause or "extension")
        for row in ROUTES
        if row.clause or row.about.extension
    )
    return ("Method", "Path", "Transaction", "PS3.18"), rows


def other_resources() -> Table:
    rows = (
        (row.method, f"`{row.template}`", row.about.summary)
        for row in ROUTES
        if not row.clause and not row.about.extension
    )
    return ("Method", "Path", "What for"), rows


def _transactions() -> dict[About, list[Route]]:
    """The rows that share a description: one kind of transaction at several resources."""
    kinds: dict[About, list[Route]] = {}
    for row in ROUTES:
        kinds.setdefault(row.about, []).append(row)
    return kinds


def _names(routes: Iterable[Route]) -> str:
    return ", ".join(row.name for row in routes)


def media_types() -> Table:
    return ("Transactions", "Media types of the answer, the default first"), (
        (_names(routes), ", ".join(f"`{name}`" for name in about.offers))
        for about, routes in _transactions().items()
        if about.offers and (routes[0].clause or about.extension)
    )


def request_media_types() -> Table:
    return ("Transactions", "Media types of the request"), (
        (_names(routes), ", ".join(f"`{name}`" for name in about.takes))
        for about, routes in _transactions().items()
        if about.takes
    )


def parameters() -> Table:
    """All but matching keys, which have a table of their own."""
    found: dict[tuple[str, str, str], list[Route]] = {}
    for about, routes in _transactions().items():
        for one in about.parameters:
            if not one.alias and one.name not in ("accept", "charset"):
                found.setdefault((one.name, one.description, one.clause), []).extend(routes)
    return ("Parameter", "Meaning", "PS3.18", "Transactions"), (
        (f"`{name}`", meaning, clause, _names(routes)) for (name, meaning, clause), routes in found.items()
    )


def answer_character_sets() -> Table:
    return ("Character set of an answer",), ((f"`{name}`",) for name in charset.SUPPORTED)


def http_statuses() -> Table:
    """Every status that may come back, and what it means where."""
    meanings: dict[int, dict[str, list[Route]]] = {}
    for about, routes in _transactions().items():
        for status in about.statuses:
            meanings.setdefault(status.code, {}).setdefault(status.meaning, []).extend(routes)
    return ("Status", "Meaning", "Of these transactions"), (
        (str(code), words, _names(routes) if len(routes) <= MOST_NAMED else "")
        for code in sorted(meanings)
        for words, routes in meanings[code].items()
    )


def http_settings() -> Table:
    return settings_of("http")


def failure_reasons() -> Table:
    meanings: dict[int, list[str]] = {}
    for error, code in store_response.FAILURE_REASONS.items():
        meanings.setdefault(code, []).append(meaning_of(error))
    return ("Failure Reason", "Meaning"), (
        (f"{code:04X}", " ".join(meanings[code])) for code in sorted(meanings)
    )
