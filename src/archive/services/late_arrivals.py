"""Objects that come in after a correction and still say what was corrected: they are corrected on their way in.

The shaper looks before an object is judged, and `duplicates.record` once more within the transaction that records it:
what a correction has overtaken in between is `Outdated`, and comes back here. As long as there are no corrections this
costs one look at an empty table for each object, in that transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archive.dicom.errors import OutOfResources
from archive.dicom.instance import Instance, Source, StoredInstance
from archive.index import corrected_objects, correction_rules, corrections
from archive.index.correction_rules import Step
from archive.index.database import Connection, Database
from archive.services import correcting
from archive.services.correcting import Rewriting
from archive.services.shaping import Received, Shape, Written
from archive.storage.base import Blob

LOOK_SECONDS = 1.0
"""So long a process believes that there are no rules. The transaction that records an object knows better."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What corrections have made of an object on its way in."""

    steps: tuple[Step, ...]
    rewriting: Rewriting

    def enter(self, connection: Connection, stored: StoredInstance) -> None:
        """Keep what the object said before, for each correction. It was recorded in this transaction."""
        said = {**self.rewriting.values, **self.rewriting.before}
        for step in self.steps:
            changed = {k: said[k] for k, value in step.after.items() if k in said and said[k] != value}
            if changed:
                corrected_objects.note(connection, step.correction_id, stored, changed, keep_bytes=False)
            said |= step.after


def check(connection: Connection, instance: Instance) -> None:
    """Raises Outdated when this object, which was recorded in this transaction, is to be corrected before."""
    if correction_rules.exist(connection):
        correction_rules.check(connection, instance, correcting.value_of(instance))


def check_settled(connection: Connection, study_instance_uid: str) -> None:
    """An object is refused as it is of another patient than its study: raises OutOfResources while that may be about to
    change."""
    if correction_rules.exist(connection) and corrections.touched(connection, study_instance_uid):
        raise being_corrected()


def being_corrected() -> OutOfResources:
    """To be raised for an object that may fit in a moment."""
    return OutOfResources(
        "the study is being corrected: send the object again; if that does not help, "
        "`archive patients history --study` says what is in the way"
    )


class LateArrivals:
    """The shaper that carries corrections out on what comes in."""

    def __init__(
        self, database: Database, modifying_system: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._modifying_system = modifying_system
        self._clock = clock
        self._none_until = 0.0

    def __call__(self, received: Received) -> Shape | None:
        """What the object is to become; None where no correction is about it."""
        if self._clock() < self._none_until:
            return None
        return self.look(received)

    def look(self, received: Received) -> Shape | None:
        """The same, when the object is known to be concerned."""
        with self._database.read() as connection:
            if not correction_rules.exist(connection):
                self._none_until = self._clock() + LOOK_SECONDS
                return None
            self._none_until = 0.0
            return self._shape(connection, received)

    def _shape(self, connection: Connection, received: Received) -> Shape | None:
        instance = received.instance
        said = correction_rules.said(instance, correcting.value_of(instance))
        steps = tuple(correction_rules.steps(connection, said))
        if not steps:
            return None
        return shape(steps, instance, received.stored, received.open, received.source, self._modifying_system)


def shape(
    steps: tuple[Step, ...],
    instance: Instance,
    stored: StoredInstance,
    opened: Callable[[], Blob],
    source: Source,
    modifying_system: str,
) -> Shape:
    """What corrections make of an object. Raises InvalidValue."""
    values: Mapping[str, str] = {k: value for step in steps for k, value in step.after.items()}
    told = correcting.circumstances(modifying_system, source)
    one = Rewriting(stored, instance.metadata, instance.bulk_values, opened, values, told)
    made = one.shape

    def check(written: Written) -> None:
        correcting.check(written.instance, values)

    return Shape(
        made.transfer_syntax_uid, made.pieces, made.coerced_tags, check=check, note=Corrected(steps, one)
    )
