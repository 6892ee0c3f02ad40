"""C-FIND (PS3.4 C.4.1): matches are sent as they are found, never collected."""

from __future__ import annotations

from contextlib import closing

from archive.dicom.errors import OutOfResources
from archive.dimse.answers import AnswerForm, encoded_answer
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


def answer(exchange: Exchange) -> Status:
    """Answer one query. Raises InvalidQuery, CannotUnderstand, TooBroad; OutOfResources once the limit has been sent,
    or ends with a warning where the standard has one for it (PS3.4 C.6.4)."""
    identifier = exchange.identifier()
    terms = _terms(exchange)
    asked = question(identifier, terms)
    pending = Status(PENDING_WITH_UNSUPPORTED_KEYS if asked.unsupported_keys else PENDING)
    form = _form(exchange, identifier)
    sent = 0
    with closing(exchange.archive.search.stream(asked.query)) as matches:
        for match in matches:
            if exchange.cancelled:
                return exchange.respond(Status(CANCELLED))
            if match is None:
                continue
            if sent == asked.limit:
                return _limited(exchange, terms, sent)
            exchange.respond(pending, encoded_answer(match, form))
            sent += 1
    return exchange.respond(Status(SUCCESS))


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
