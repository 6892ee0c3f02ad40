"""What the requests of the Worklist Service have in common: UIDs in the query string, the one data set of a body, who
asks, and which pages may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery
from archive.dicom.identifiers import check_uid
from archive.dicom.receiving.received import DataSet, first
from archive.web import data_set_body
from archive.web.api import guard
from archive.web.data_set_body import DataSetBody
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MAXIMUM_BYTES = 4 << 20
"""Of a Workitem, which holds texts, codes and references."""

SOP_INSTANCE_UID = 0x00080018
TRANSACTION_UID = 0x00081195

WORKITEM_NAMES = frozenset(("workitem", "affectedsopinstanceuid"))
"""Of the parameter with a Workitem UID; the second was that of Supplement 171."""
TRANSACTION_NAMES = frozenset(("transaction", "transaction-uid", "transactionuid"))
"""Of the parameter with a Transaction UID; editions of PS3.18 differ."""

REQUESTER = "requester"
UNNAMED_REQUESTER = "UPS-RS"
"""Stands where PS3.4 has the AE title of who asks: HTTP has none, so the parameter `requester` may name one."""

_BARE_UID = re.compile(r"[0-9][0-9.]*", re.ASCII)
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")

Handler = Callable[[Any, Asked], Any]
Act = Callable[[DataSet], Answer]


def changing(handler: Handler) -> Handler:
    """The handler of a transaction that changes something, not for pages of other origins (`guard.check_page`): some
    of these requests have no body, so a browser would send them for any page. Raises RequestRefused (403)."""

    def asked_by_no_foreign_page(archive: Archive, asked: Asked) -> Any:
        guard.check_page(archive.settings.http, asked)
        return handler(archive, asked)

    return asked_by_no_foreign_page


def workitem(asked: Asked) -> str:
    """The Workitem UID in the path. Raises InvalidUID."""
    return check_uid(asked.path["workitem"], SOP_INSTANCE_UID)


def uid_parameter(asked: Asked, names: frozenset[str], tag: int) -> str:
    """The UID in the query string: `?{workitem}` in PS3.18 11.4.1 is the bare UID, which most clients read as the name
    of a parameter. Empty when there is none. Raises InvalidQuery, InvalidUID."""
    found = [value for name, value in asked.parameters if name.lower() in names]
    found += [name for name, value in asked.parameters if not value and _BARE_UID.fullmatch(name)]
    if len(found) > 1:
        raise InvalidQuery("the query string has more than one UID")
    return check_uid(found[0], tag) if found else ""


def transaction_uid(data_set: DataSet, asked: Asked) -> str:
    """The Transaction UID of the query string, or of the body, where several clients put it. Raises InvalidQuery,
    InvalidUID."""
    named = uid_parameter(asked, TRANSACTION_NAMES, TRANSACTION_UID)
    told = first(data_set, f"{TRANSACTION_UID:08X}").strip()
    if named and told and named != told:
        raise InvalidQuery("the query string and the body have different Transaction UIDs", TRANSACTION_UID)
    return named or told


def requester(asked: Asked) -> str:
    """Who asks, as an AE title. Raises InvalidQuery."""
    named = asked.parameter(REQUESTER)
    return ae_title(named, "the parameter requester") if named is not None else UNNAMED_REQUESTER


def ae_title(text: str, what: str = "the subscriber in the path") -> str:
    """An AE title (PS3.5 6.2). Raises InvalidQuery."""
    title = text.strip()
    if not (title and _AE_TITLE.fullmatch(title)):
        raise InvalidQuery(f"{what} is no AE title: 1 to 16 characters of ASCII, without a backslash")
    return title


def one_data_set(asked: Asked, act: Act, what: str, *, optional: bool = False) -> DataSetBody:
    """The taker of a body that is one data set (PS3.18 11.4.1.4); without one, if it is `optional`, `act` gets an
    empty data set. Raises RequestRefused (415)."""

    def taken(data_sets: Iterator[DataSet]) -> Answer:
        found = list(islice(data_sets, 2))
        if len(found) > 1 or not (found or optional):
            raise RequestRefused(f"{what} is one data set, and the body has {'more' if found else 'none'}")
        return act(found[0] if found else {})

    return data_set_body.taker(asked, taken, what, MAXIMUM_BYTES, optional=optional)
