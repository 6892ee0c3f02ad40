"""What may be stored: objects of a few patients, studies, series and instances, with pixels of a few versions.

Each says of itself what its UIDs say, so there is no doubt what a study is called. By nature an instance belongs to one
series, that to one study, and that to one patient; `odd` ones do not, and get in the way of the others.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from fuzz import seeds
from reliability.objects import Object

PATIENTS, STUDIES, SERIES, INSTANCES, VERSIONS = 2, 3, 5, 9, 3
MODALITIES = ("CT", "MR", "OT")


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """One object, by the numbers of what it belongs to."""

    patient: int
    study: int
    series: int
    instance: int
    version: int = 0

    @property
    def modality(self) -> str:
        """That of its series."""
        return MODALITIES[self.series % len(MODALITIES)]


def natural(instance: int, version: int = 0) -> Thing:
    """An instance where it belongs."""
    series = instance * SERIES // INSTANCES
    study = series * STUDIES // SERIES
    return Thing(study % PATIENTS, study, series, instance, version)


NATURAL = st.builds(natural, st.integers(0, INSTANCES - 1), st.integers(0, VERSIONS - 1))


@st.composite
def odd(draw: st.DrawFn) -> Thing:
    """One that stands elsewhere than where it belongs: of another patient, in another study or series."""
    thing = draw(NATURAL)
    what, of = draw(st.sampled_from([("patient", PATIENTS), ("study", STUDIES), ("series", SERIES)]))
    return replace(thing, **{what: draw(st.integers(0, of - 1))})


THINGS = st.one_of(NATURAL, NATURAL, NATURAL, odd())
BATCHES = st.lists(NATURAL, min_size=2, max_size=5, unique_by=lambda thing: thing.instance)
"""Of one request: none contradicts another."""


@dataclass(frozen=True, slots=True)
class Names:
    """The UIDs of one history, which no other has: many are played on one archive."""

    root: int

    def uid(self, kind: int, number: int) -> str:
        """Of a study (1), series (2) or instance (3)."""
        return f"1.2.826.0.1.{self.root}.{kind}.{number}"

    def study(self, number: int) -> str:
        """A StudyInstanceUID."""
        return self.uid(1, number)

    def series(self, number: int) -> str:
        """A SeriesInstanceUID."""
        return self.uid(2, number)

    def instance(self, number: int) -> str:
        """A SOPInstanceUID."""
        return self.uid(3, number)

    def patient(self, number: int) -> str:
        """A PatientID."""
        return f"M{self.root}-{number}"

    @property
    def patients(self) -> str:
        """All of its PatientIDs, as a wildcard."""
        return f"M{self.root}-*"

    def path(self, thing: Thing) -> str:
        """Below the DICOMweb root."""
        study, series = self.study(thing.study), self.series(thing.series)
        return f"/studies/{study}/series/{series}/instances/{self.instance(thing.instance)}"


@functools.lru_cache(maxsize=1024)
def made(names: Names, thing: Thing) -> Object:
    """The object."""
    data_set = seeds.image()
    data_set.PatientID, data_set.PatientName = names.patient(thing.patient), f"Plover^{thing.patient}"
    data_set.PatientBirthDate = f"197{thing.patient}0101"
    data_set.StudyInstanceUID, data_set.StudyDate = names.study(thing.study), f"2024010{thing.study + 1}"
    data_set.StudyDescription, data_set.StudyID = f"Study {thing.study}", str(thing.study)
    data_set.SeriesInstanceUID, data_set.Modality = names.series(thing.series), thing.modality
    data_set.SeriesNumber, data_set.InstanceNumber = thing.series + 1, thing.instance + 1
    data_set.SOPInstanceUID = names.instance(thing.instance)
    data_set.PixelData = hashlib.shake_128(repr(thing).encode()).digest(16)
    encoded = seeds.encoded(data_set, seeds.EXPLICIT)
    return Object(
        seeds.SECONDARY_CAPTURE,
        names.instance(thing.instance),
        names.series(thing.series),
        names.study(thing.study),
        encoded,
    )


def digest(names: Names, thing: Thing) -> str:
    """SHA-256 of its data set."""
    return hashlib.sha256(made(names, thing).data_set).hexdigest()
