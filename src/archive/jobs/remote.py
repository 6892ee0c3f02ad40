"""TABLE event -> work with another application entity: what it is told without having asked on an association that
lives.

Such work takes as long as the other side likes, and fails for days when a console is switched off. So it is done beside
the other jobs, one at a time with each AE, and tried for as long as the settings say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archive.bootstrap.building import Archive
from archive.jobs.retry import RetryPolicy
from archive.services.notifications import NOTIFICATION_DUE
from archive.services.reports import REPORT_DUE, Held
from archive.services.workitem_events import WORKITEM_EVENTS_DUE
from archive.settings.doors import Dimse

Payload = Mapping[str, Any]
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """`destination`: the AE title to be called, "" when there is nothing to be done any more. `failed` notes why an
    attempt failed, and whether it was the last one."""

    destination: Callable[[Archive, Payload], str]
    run: Callable[[Archive, Payload], None]
    failed: Callable[[Archive, Payload, str, bool], None]


def _held(payload: Payload) -> Held:
    return Held(payload["id"], payload["turn"])


def _reported(archive: Archive, payload: Payload) -> str:
    return archive.reports.destination(_held(payload))


def _report(archive: Archive, payload: Payload) -> None:
    archive.reports.deliver(_held(payload))


def _not_reported(archive: Archive, payload: Payload, reason: str, given_up: bool) -> None:
    archive.reports.failed(_held(payload), reason, given_up=given_up)


def _notified(archive: Archive, payload: Payload) -> str:
    return archive.notifications.destination(payload["id"], payload["turn"])


def _notify(archive: Archive, payload: Payload) -> None:
    archive.notifications.deliver(payload["id"], payload["turn"])


def _not_notified(archive: Archive, payload: Payload, reason: str, given_up: bool) -> None:
    archive.notifications.failed(payload["id"], payload["turn"], reason, given_up=given_up)


def _subscriber(archive: Archive, payload: Payload) -> str:
    return archive.workitem_events.destination(payload["ae_title"], payload["turn"])


def _tell(archive: Archive, payload: Payload) -> None:
    archive.workitem_events.deliver(payload["ae_title"], payload["turn"])


def _not_told(archive: Archive, payload: Payload, reason: str, given_up: bool) -> None:
    archive.workitem_events.failed(payload["ae_title"], payload["turn"], reason, given_up=given_up)


REMOTE: Mapping[str, RemoteJob] = {
    REPORT_DUE: RemoteJob(_reported, _report, _not_reported),
    NOTIFICATION_DUE: RemoteJob(_notified, _notify, _not_notified),
    WORKITEM_EVENTS_DUE: RemoteJob(_subscriber, _tell, _not_told),
}


def policy(settings: Dimse) -> RetryPolicy:
    """Soon at first, then every hour, for days: a console may be off over a long weekend."""
    oldest = settings.report_days * DAY
    return RetryPolicy(first_seconds=5.0, longest_seconds=3600.0, attempts=1 << 30, oldest_seconds=oldest)


def lease_seconds(settings: Dimse) -> float:
    """Longer than one talk may take: connecting, negotiating, the request, its response, the release."""
    return 3.0 * settings.connect_deadline + settings.response_deadline + 2.0 * settings.pdu_deadline + 60.0
