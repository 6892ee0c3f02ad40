"""Modality Worklist as SCP (PS3.4 annex K): C-FIND over scheduled procedure steps.

Every attribute that an entry may hold is a matching key, at any depth, and every one is a return key. A date and a time
that are both ranges are one range of moments (K.6.1.2.2, remark on Scheduled Procedure Step Start Date). An entry that
does not have what a key asks for does not match (K.2.2.1.1.1). Not matched are private attributes, as nobody can enter
them by name, and binary numbers, which dcmjs-dimse sends as 0 where it means none; the responses then say so
(K.4.1.1.4: FF01).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from archive.dicom.attribute_levels import (
    TIMEZONE_OFFSET_FROM_UTC,
    is_matchable,
    is_private,
    is_private_creator,
    vr_of,
)
from archive.dicom.errors import InvalidQuery, OutOfResources
from archive.dicom.instance import Level
from archive.dicom.matching import moments
from archive.dicom.matching.key_matching import matching
from archive.dicom.query import Key, Path, Query, Universal
from archive.dicom.receiving.received import DataSet
from archive.dimse.answers import attributes_encoder
from archive.dimse.exchange import Exchange
from archive.dimse.extended import Agreed
from archive.dimse.identifier import Identifier, RequestElement
from archive.dimse.statuses import CANCELLED, PENDING, PENDING_WITH_UNSUPPORTED_KEYS, SUCCESS, Status

MAXIMUM_KEYS = 200
"""With a value; PS3.4 Table K.6-1 has fewer attributes."""


_UNMATCHED_VRS = frozenset({"AT", "FD", "FL", "SL", "SQ", "SS", "SV", "UL", "US", "UV"})
"""Of keys with a value; the keys of these VRs in Table K.6-1 are optional."""

Find = Callable[[Query, int], Generator[DataSet | None, None, None]]
"""At most so many matches; None now and then while nothing is found."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and whether it holds keys with values that are not matched."""

    query: Query
    unsupported_keys: bool


def answer(exchange: Exchange) -> Status:
    """Answer one query. Raises InvalidQuery, CannotUnderstand; OutOfResources once the limit has been sent."""
    identifier = exchange.identifier()
    return send(exchange, identifier, question(identifier, exchange.agreed), exchange.archive.worklist.find)


def send(exchange: Exchange, identifier: Identifier, asked: Question, find: Find) -> Status:
    """Send the matches that there are, as they are found. Raises InvalidQuery; OutOfResources once the limit has been
    sent."""
    limit = exchange.archive.settings.limits.maximum_query_results
    pending = Status(PENDING_WITH_UNSUPPORTED_KEYS if asked.unsupported_keys else PENDING)
    character_set = identifier.specific_character_set or own_character_set(exchange)
    encode = attributes_encoder(identifier.elements, character_set, implicit=exchange.implicit)
    with closing(find(asked.query, limit + 1)) as found:
        sent = 0
        for entry in found:
            if exchange.cancelled:
                return exchange.respond(Status(CANCELLED))
            if entry is None:
                continue
            if sent == limit:
                raise OutOfResources(f"more than {limit} matches: narrow the query")
            exchange.respond(pending, encode(entry))
            sent += 1
    return exchange.respond(Status(SUCCESS))


def question(identifier: Identifier, agreed: Agreed) -> Question:
    """What an Identifier asks of the worklist. Raises InvalidQuery."""
    keys: list[Key] = []
    unsupported = False
    for path, element in _attributes(identifier.elements, ()):
        tag = path[-1]
        if not _has_value(element) or is_private_creator(tag) or path == (TIMEZONE_OFFSET_FROM_UTC,):
            continue
        if is_private(tag) or not is_matchable(vr_of(tag)) or vr_of(tag) in _UNMATCHED_VRS:
            unsupported = True
            continue
        kind = matching(vr_of(tag), element.values)
        if not isinstance(kind, Universal):
            keys.append(Key(path, kind))
    if len(keys) > MAXIMUM_KEYS:
        raise InvalidQuery(f"more than {MAXIMUM_KEYS} keys with a value")
    # The level is that of no information model here: keys of any may be asked for.
    query = Query(Level.IMAGE, tuple(keys), fuzzy=agreed.fuzzy, combined=True, timezone=_timezone(identifier))
    return Question(query, unsupported)


def _attributes(elements: Mapping[int, RequestElement], above: Path) -> Iterator[tuple[Path, RequestElement]]:
    for tag, element in elements.items():
        if element.item is not None:
            yield from _attributes(element.item, (*above, tag))
        else:
            yield (*above, tag), element


def _has_value(element: RequestElement) -> bool:
    return bool(element.raw) or any(value.strip("* ") for value in element.values)


def _timezone(identifier: Identifier) -> int | None:
    """The zone of the dates and times in the Identifier (PS3.4 K.4.1.1.3.1)."""
    return next((moments.utc_offset(value) for value in identifier.values(TIMEZONE_OFFSET_FROM_UTC)), None)


def own_character_set(exchange: Exchange) -> tuple[str, ...]:
    """That in which the requestor is answered when it names none."""
    own = exchange.rules.character_set
    return tuple(own.split("\\")) if own else ()
