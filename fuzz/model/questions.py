"""What is asked of what is stored, and what the model says to it: the same by QIDO-RS and by C-FIND."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from fuzz.model.expected import Expected
from fuzz.model.things import MODALITIES, SERIES, STUDIES, Names, Thing

LEVEL = 0x00080052
_UID_TAGS = {"STUDY": 0x0020000D, "SERIES": 0x0020000E, "IMAGE": 0x00080018}
_RESOURCES = {"STUDY": "studies", "SERIES": "series", "IMAGE": "instances"}
_PATIENT_ID, _STUDY_DATE, _MODALITIES, _MODALITY = 0x00100020, 0x00080020, 0x00080061, 0x00080060
_DESCRIPTION, _INSTANCE_NUMBER, _STUDY_UID, _SERIES_UID = 0x00081030, 0x00200013, 0x0020000D, 0x0020000E


@dataclass(frozen=True, slots=True)
class Question:
    """`keys` by tag; `fits` says of a stored object whether what it belongs to matches."""

    level: str
    keys: Mapping[int, str]
    fits: Callable[[Thing], bool]

    @property
    def uid_tag(self) -> int:
        """The unique key of its level."""
        return _UID_TAGS[self.level]

    @property
    def path(self) -> str:
        """As a QIDO-RS search."""
        keys = "&".join(f"{tag:08X}={quote(value, safe='*,')}" for tag, value in self.keys.items())
        return f"/{_RESOURCES[self.level]}?{keys}"

    @property
    def identifier(self) -> dict[int, str]:
        """As the Identifier of a C-FIND."""
        keys = {tag: value.replace(",", "\\") for tag, value in self.keys.items()}
        return {LEVEL: self.level, self.uid_tag: "", **keys}

    def answer(self, names: Names, expected: Expected) -> set[str]:
        """The UIDs of what matches."""
        fitting = [thing for thing in expected.stored.values() if self.fits(thing)]
        if self.level == "STUDY":
            return {names.study(thing.study) for thing in fitting}
        if self.level == "SERIES":
            return {names.series(thing.series) for thing in fitting}
        return {names.instance(thing.instance) for thing in fitting}


def questions(names: Names, number: int) -> list[Question]:
    """Questions of every kind, about what this number picks."""
    ours = {_PATIENT_ID: names.patients}
    study, series, modality = number % STUDIES, number % SERIES, MODALITIES[number % len(MODALITIES)]
    two = {study, (study + 1) % STUDIES}
    return [
        *(Question(level, ours, lambda _: True) for level in _UID_TAGS),
        Question("STUDY", {_PATIENT_ID: names.patient(number % 2)}, lambda one: one.patient == number % 2),
        Question(
            "STUDY", {_STUDY_UID: ",".join(map(names.study, sorted(two)))}, lambda one: one.study in two
        ),
        Question("STUDY", ours | {_STUDY_DATE: f"-2024010{study + 1}"}, lambda one: one.study <= study),
        Question("STUDY", ours | {_MODALITIES: modality}, lambda one: one.modality == modality),
        Question("STUDY", ours | {_DESCRIPTION: f"S?udy*{study}"}, lambda one: one.study == study),
        Question("SERIES", ours | {_MODALITY: modality}, lambda one: one.modality == modality),
        Question("SERIES", {_STUDY_UID: names.study(study)}, lambda one: one.study == study),
        Question("IMAGE", ours | {_INSTANCE_NUMBER: str(number + 1)}, lambda one: one.instance == number),
        Question(
            "IMAGE",
            {_STUDY_UID: names.study(study), _SERIES_UID: names.series(series)},
            lambda one: (one.study, one.series) == (study, series),
        ),
    ]
