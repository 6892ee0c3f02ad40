"""C-MOVE (PS3.4 C.4.2): only to AE titles that the administrator has made known, never to where a request
points."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial

from archive.dicom.errors import NotAuthorized
from archive.dicom.instance import StoredInstance
from archive.dimse.exchange import Exchange
from archive.dimse.keys import scope
from archive.dimse.statuses import Status
from archive.dimse.sub_operations import Recorded, objects, run
from archive.remote.peer import Peer, peer_of
from archive.remote.store_scu import StoreRequest
from archive.remote.transfer import Transfer
from archive.security.actor import Actor
from archive.security.ae_titles import AETitle
from archive.security.remedies import command, option
from archive.security.titles import escaped


def answer(exchange: Exchange) -> Status:
    """Send what the Identifier names. Raises NotAuthorized and UnknownDestination before anything else is tried."""
    archive = exchange.archive
    destination = archive.ae_titles.destination(_permitted(exchange))
    instances = archive.retrieve.instances(scope(exchange.identifier(), exchange.service.root))
    receiver = Actor("DIMSE", destination.host, destination.title)
    with (
        closing(archive.auditing.out.sending(exchange.actor, instances, receiver)) as recorded,
        _transfer(exchange, destination, instances) as transfer,
    ):
        sent = partial(archive.throughput.stored_at, destination.title)
        return run(exchange, len(instances), Recorded(transfer, recorded, sent))


def _permitted(exchange: Exchange) -> str:
    """The destination that is asked for. Raises NotAuthorized where this requestor may not send there, known or
    not."""
    wanted = str(exchange.request.MoveDestination or "").strip()
    allowed = exchange.rules.destinations
    if allowed and wanted not in allowed:
        raise NotAuthorized(
            f"{exchange.ae_title} has no right to send to this destination",
            command("set", exchange.ae_title, *option("--destination", escaped(wanted))),
        )
    return wanted


def _transfer(exchange: Exchange, destination: AETitle, instances: list[StoredInstance]) -> Transfer:
    request = StoreRequest(
        priority=exchange.priority,
        move_originator_ae_title=exchange.ae_title,
        move_originator_message_id=exchange.request.MessageID,
    )
    preferred = destination.rules.transfer_syntax
    return Transfer(
        _peer(exchange, destination),
        instances,
        objects(exchange.archive.delivery, preferred),
        request,
        associations=destination.rules.associations,
        preferred=preferred,
    )


def _peer(exchange: Exchange, destination: AETitle) -> Peer:
    """The destination, called by the title that the requestor knows us by, where it is one of ours."""
    peer = peer_of(destination, exchange.archive.settings)
    called = exchange.association.called_ae_title.strip()
    if called in exchange.archive.settings.dimse.own_ae_titles:
        return replace(peer, calling_ae_title=called)
    return peer
