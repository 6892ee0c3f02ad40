"""C-GET (PS3.4 C.4.3): the sub-operations go back over the requestor's own association.

Where it accepted several contexts for one SOP class, the one with the stored transfer syntax is taken, else one that
the object can be converted to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import closing
from functools import partial

from archive.dicom.instance import StoredInstance
from archive.dimse.exchange import Exchange
from archive.dimse.keys import scope
from archive.dimse.statuses import Status
from archive.dimse.sub_operations import Recorded, objects, run
from archive.network.association import Association
from archive.remote.store_scu import Objects, Outcome, StoreRequest, store


def answer(exchange: Exchange) -> Status:
    """Send what the Identifier names."""
    instances = exchange.archive.retrieve.instances(scope(exchange.identifier(), exchange.service.root))
    request = StoreRequest(priority=exchange.priority)
    in_turn = InTurn(exchange.association, instances, objects(exchange.archive.delivery), request)
    with closing(exchange.archive.auditing.out.sending(exchange.actor, instances)) as recorded:
        sent = partial(exchange.archive.throughput.stored_at, exchange.ae_title)
        return run(exchange, len(instances), Recorded(in_turn, recorded, sent))


class InTurn:
    """C-STORE one after the other: there is one association, and one message at a time on it."""

    def __init__(
        self,
        association: Association,
        instances: Iterable[StoredInstance],
        objects: Objects,
        request: StoreRequest,
    ) -> None:
        self._association = association
        self._waiting = deque(instances)
        self._objects = objects
        self._request = request
        self._message_id = 0

    def next(self, _seconds: float) -> Outcome | None:
        """Send the next one. Raises PeerFailure when the association is lost."""
        self._message_id = self._message_id % 0xFFFF + 1
        instance = self._waiting.popleft()
        return store(self._association, instance, self._objects, self._request, self._message_id)

    def cancel(self) -> list[Outcome]:
        """None is ever on its way between two calls."""
        self._waiting.clear()
        return []
