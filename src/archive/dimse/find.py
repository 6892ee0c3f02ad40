"""C-FIND (PS3.4 C.4.1): matches are sent as the index finds them, never collected."""

from __future__ import annotations

from contextlib import closing

from archive.dicom.errors import OutOfResources
from archive.dimse.answers import AnswerForm, encoded_answer
from archive.dimse.exchange import Exchange
from archive.dimse.keys import question
from archive.dimse.statuses import CANCELLED, PENDING, PENDING_WITH_UNSUPPORTED_KEYS, SUCCESS, Status


def answer(exchange: Exchange) -> Status:
    """Answer one query. Raises InvalidQuery, CannotUnderstand; OutOfResources once the limit has been
    sent."""
    limit = exchange.archive.settings.limits.maximum_query_results
    identifier = exchange.identifier()
    asked = question(identifier, exchange.service.root, limit + 1)
    pending = Status(PENDING_WITH_UNSUPPORTED_KEYS if asked.unsupported_keys else PENDING)
    form = AnswerForm(identifier, exchange.association.called_ae_title, exchange.implicit)
    with closing(exchange.archive.search.find(asked.query).matches) as matches:
        for number, match in enumerate(matches):
            if exchange.cancelled:
                return exchange.respond(Status(CANCELLED))
            if number == limit:
                raise OutOfResources(f"more than {limit} matches: narrow the query")
            exchange.respond(pending, encoded_answer(match, form))
    return exchange.respond(Status(SUCCESS))
