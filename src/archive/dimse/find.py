"""C-FIND (PS3.4 C.4.1): matches are sent as they are found, a few at a time, never collected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

from archive.dicom.errors import OutOfResources
from archive.dicom.query import Match
from archive.dimse.answers import AnswerForm, encoder
from archive.dimse.exchange import Exchange
from archive.dimse.find_keys import Terms, question
from archive.dimse.identifier import Identifier
from archive.dimse.statuses import (
    CANCELLED,
    PENDING,
    PENDING_WITH_UNSUPPORTED_KEYS,
    RESPONSE_LIMIT_REACHED,
    SUCCESS,
    Status,
)

SENT_TOGETHER = 16


def answer(exchange: Exchange) -> Status:
    """Answer one query. Raises InvalidQuery, CannotUnderstand, TooBroad; OutOfResources once the limit has been sent,
    or ends with a warning where the standard has one for it (PS3.4 C.6.4)."""
    identifier = exchange.identifier()
    exchange.archive.auditing.out.asked(
        exchange.actor,
        exchange.message.context.abstract_syntax,
        identifier.encoded,
        exchange.message.context.transfer_syntax,
    )
    terms = _terms(exchange)
    asked = question(identifier, terms)
    pending = Status(PENDING_WITH_UNSUPPORTED_KEYS if asked.unsupported_keys else PENDING)
    encode = encoder(_form(exchange, identifier))
    sent = 0
    with closing(exchange.archive.search.stream(asked.query)) as matches:
        for some in _together(matches):
            if exchange.cancelled:
                return exchange.respond(Status(CANCELLED))
            exchange.respond_each(pending, [encode(match) for match in some[: asked.limit - sent]])
            sent += len(some)
            if sent > asked.limit:
                return _limited(exchange, terms, asked.limit)
    return exchange.respond(Status(SUCCESS))


def _together(matches: Iterable[Match | None]) -> Iterator[list[Match]]:
    """A few matches at a time, which are sent with one system call; none are held back while others are looked for."""
    some: list[Match] = []
    for match in matches:
        if match is not None:
            some.append(match)
        if match is None or len(some) == SENT_TOGETHER:
            yield some
            some = []
    yield some


def _terms(exchange: Exchange) -> Terms:
    return Terms(
        exchange.service.root,
        exchange.archive.settings.limits.maximum_query_results,
        exchange.agreed,
        exchange.rules.relational,
        exchange.own_ae_title,
        exchange.service.records,
    )


def _form(exchange: Exchange, identifier: Identifier) -> AnswerForm:
    own = exchange.rules.character_set
    charset = tuple(own.split("\\")) if own else ()
    return AnswerForm(identifier, exchange.own_ae_title, exchange.implicit, charset)


def _limited(exchange: Exchange, terms: Terms, limit: int) -> Status:
    if terms.records:
        return exchange.respond(Status(RESPONSE_LIMIT_REACHED, f"{limit} records sent, and there are more"))
    raise OutOfResources(f"more than {limit} matches: narrow the query")
