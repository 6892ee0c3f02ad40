"""C-GET (PS3.4 C.4.3): the sub-operations go back over the requestor's own association.

Where it accepted several contexts for one SOP class, the one with the stored transfer syntax is taken.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from archive.dicom.instance import StoredInstance
from archive.dimse.exchange import Exchange
from archive.dimse.keys import scope
from archive.dimse.statuses import Status
from archive.dimse.sub_operations import data_sets, run
from archive.remote.store_scu import Outcome, StoreRequest, store


def answer(exchange: Exchange) -> Status:
    """Send what the Identifier names."""
    instances = exchange.archive.retrieve.instances(scope(exchange.identifier(), exchange.service.root))
    return run(exchange, len(instances), _outcomes(exchange, instances))


def _outcomes(exchange: Exchange, instances: Sequence[StoredInstance]) -> Generator[Outcome, None, None]:
    request = StoreRequest(priority=exchange.priority)
    opened = data_sets(exchange.archive.retrieve)
    for number, instance in enumerate(instances):
        yield store(exchange.association, instance, opened, request, number % 0xFFFF + 1)
