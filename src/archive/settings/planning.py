"""What is to be done: the worklist and workitems."""

from __future__ import annotations

from dataclasses import dataclass

from archive.settings.values import setting


@dataclass(frozen=True)
class WorklistSettings:
    """The modality worklist."""

    offered: tuple[str, ...] = setting(
        ("SCHEDULED", "ARRIVED", "READY", "STARTED"),
        "States of the entries that modalities get unless they ask.",
    )
    stations: tuple[str, ...] = setting(
        (), 'Stations where an entry names none: "CT=CT1" by modality, "*=AET" for any.'
    )
    keep_days: int = setting(30, "Days after which entries done with, or long past, are forgotten.", 1)


@dataclass(frozen=True)
class WorkitemSettings:
    """Workitems: Unified Procedure Steps, by DIMSE and UPS-RS."""

    worklist_label: str = setting("WORKLIST", "The Worklist Label of a workitem that is created without one.")
    keep_days: int = setting(30, "Days that what has ended is kept, or longer under a deletion lock.", 1)
    event_days: int = setting(7, "Days that events are kept for subscribers who fetch them.", 1)
