"""The archive as a dictionary: what is stored, what was deleted, and what it answers therefore.

It decides as `services.duplicates` and `index.recording` promise to, said anew in a few lines: what is in an object's
way, and what the policy makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fuzz.model.things import Thing

SUCCESS, DUPLICATE, KEPT_ASIDE = 0x0000, 0x0111, 0xB000

SAME, OTHER_CONTENT, IN_THE_WAY = "same", "other content", "in the way"
"""What an object meets: itself, another version of itself, or something with which it cannot be."""


@dataclass(slots=True)
class Expected:
    """`stored` by instance; `deleted` likewise: in which series and study it was."""

    policy: str = "reject"
    stored: dict[int, Thing] = field(default_factory=dict)
    deleted: dict[int, tuple[int, int]] = field(default_factory=dict)

    def meets(self, thing: Thing) -> str:
        """What is in its way; "" where nothing is."""
        there = self.stored.get(thing.instance)
        patients = {one.patient for one in self.stored.values() if one.study == thing.study}
        if there is not None:
            if there == thing:
                return SAME
            in_place = (there.series, there.study) == (thing.series, thing.study)
            return OTHER_CONTENT if in_place and patients == {thing.patient} else IN_THE_WAY
        studies = {one.study for one in self.stored.values() if one.series == thing.series}
        return IN_THE_WAY if patients - {thing.patient} or studies - {thing.study} else ""

    def store(self, thing: Thing) -> int:
        """It is stored, if it can be; the status that its sender is told."""
        met = self.meets(thing)
        if met == SAME:
            return SUCCESS
        if met == "" or (met == OTHER_CONTENT and self.policy == "replace"):
            self.stored[thing.instance] = thing
            self.deleted.pop(thing.instance, None)
            return SUCCESS
        if self.policy == "conflict" or (met == OTHER_CONTENT and self.policy == "keep"):
            return KEPT_ASIDE
        return DUPLICATE

    def delete(self, study: int, series: int | None = None, instance: int | None = None) -> int:
        """What stands there is deleted; how many instances that were."""
        taken = list(self.below(study, series, instance))
        for thing in taken:
            del self.stored[thing.instance]
            self.deleted[thing.instance] = thing.series, thing.study
        return len(taken)

    def below(self, study: int, series: int | None = None, instance: int | None = None) -> Iterable[Thing]:
        """What is stored there."""
        return [
            thing
            for thing in self.stored.values()
            if thing.study == study and series in (None, thing.series) and instance in (None, thing.instance)
        ]

    def missing(self, study: int, series: int | None = None, instance: int | None = None) -> int:
        """The HTTP status of a place where nothing is stored: 410 where something was deleted."""
        return (
            410
            if any(
                study == of_study and series in (None, of_series) and instance in (None, number)
                for number, (of_series, of_study) in self.deleted.items()
            )
            else 404
        )

    def studies(self) -> dict[int, list[Thing]]:
        """What is stored, by study."""
        found: dict[int, list[Thing]] = {}
        for thing in self.stored.values():
            found.setdefault(thing.study, []).append(thing)
        return found

    def series(self) -> dict[int, list[Thing]]:
        """The same by series."""
        found: dict[int, list[Thing]] = {}
        for thing in self.stored.values():
            found.setdefault(thing.series, []).append(thing)
        return found
