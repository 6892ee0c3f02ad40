"""C-MOVE (PS3.4 C.4.2): only to AE titles that the administrator has made known, never to where a request
points."""

from __future__ import annotations

from archive.bootstrap import Archive
from archive.dimse.exchange import Exchange
from archive.dimse.keys import scope
from archive.dimse.statuses import Status
from archive.dimse.sub_operations import data_sets, run
from archive.remote.peer import Peer
from archive.remote.store_scu import StoreRequest, send_all
from archive.security.ae_titles import AETitle


def answer(exchange: Exchange) -> Status:
    """Send what the Identifier names. Raises UnknownDestination before anything else is tried."""
    archive, request = exchange.archive, exchange.request
    destination = archive.ae_titles.destination(str(request.MoveDestination or "").strip())
    instances = archive.retrieve.instances(scope(exchange.identifier(), exchange.service.root))
    outcomes = send_all(
        peer(archive, destination),
        instances,
        data_sets(archive.retrieve),
        StoreRequest(
            priority=exchange.priority,
            move_originator_ae_title=exchange.association.calling_ae_title,
            move_originator_message_id=request.MessageID,
        ),
    )
    return run(exchange, len(instances), outcomes)


def peer(archive: Archive, destination: AETitle) -> Peer:
    """The destination, with our name and our deadlines."""
    settings = archive.settings.dimse
    return Peer(
        destination.host,
        destination.port,
        called_ae_title=destination.title,
        calling_ae_title=settings.ae_title,
        connect_deadline=settings.connect_deadline,
        response_deadline=settings.response_deadline,
        pdu_deadline=settings.pdu_deadline,
    )
