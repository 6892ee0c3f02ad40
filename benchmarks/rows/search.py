"""Searching: QIDO-RS and C-FIND among 50,000 studies, on one connection, each question with other values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.loads import dcmtk
from benchmarks.loads.http import Connection, timed
from benchmarks.rows.row import Ground, Metric, Mismatch, Of, Row, Samples, Unit
from benchmarks.servers.server import HOST, Server
from benchmarks.stage import Stage
from benchmarks.synthetic.population import FAMILIES, MODALITIES, Population

SECONDS = "seconds"
JSON = "application/dicom+json"
PAGE = 101
"""As OHIF asks."""
_PRIME = 7919
"""Steps through the studies, so that questions that follow each other ask for others."""
YEARS = range(2015, 2025)


def _pick(population: Population, number: int) -> int:
    return (number + 1) * _PRIME % population.count


def _name_prefix(population: Population, number: int) -> str:
    return f"PatientName={FAMILIES[number * 7 % len(FAMILIES)][:4]}*&limit={PAGE}"


def _name_contains(population: Population, number: int) -> str:
    return f"PatientName=*{FAMILIES[number * 7 % len(FAMILIES)][2:6]}*&limit={PAGE}"


def _day(population: Population, number: int) -> str:
    return f"StudyDate={population.values(_pick(population, number))['StudyDate']}"


def _year_and_modality(population: Population, number: int) -> str:
    year = YEARS[number % len(YEARS)]
    modality = MODALITIES[number % len(MODALITIES)]
    return f"StudyDate={year}0101-{year}1231&ModalitiesInStudy={modality}&limit={PAGE}"


@dataclass(frozen=True, slots=True)
class Question:
    """A kind of query: its parameters for each number. `exact`: one patient or study is meant. `whole`: the answer has
    all matches, so both sides must name the same."""

    id: str
    title: str
    parameters: Callable[[Population, int], str]
    exact: bool = False
    whole: bool = True

    def path(self, server: Server, population: Population, number: int) -> str:
        """Where to ask (PS3.18 10.6)."""
        return f"{server.prefix}/studies?{self.parameters(population, number)}"


QUESTIONS = (
    Question("patient-id", "exact PatientID", lambda p, n: f"PatientID={p.PatientID(_pick(p, n))}", True),
    Question(
        "accession-number",
        "exact AccessionNumber",
        lambda p, n: f"AccessionNumber={p.AccessionNumber(_pick(p, n))}",
        True,
    ),
    Question(
        "study-uid",
        "exact StudyInstanceUID",
        lambda p, n: f"StudyInstanceUID={p.StudyInstanceUID(_pick(p, n))}",
        True,
    ),
    Question("name-prefix", f"PatientName, prefix, first {PAGE}", _name_prefix, whole=False),
    Question("name-contains", f"PatientName, contains, first {PAGE}", _name_contains, whole=False),
    Question("day", "one day", _day),
    Question("year-modality", f"year and modality, first {PAGE}", _year_and_modality, whole=False),
    Question("first-page", f"all, first page of {PAGE}", lambda p, n: f"limit={PAGE}&offset=0", whole=False),
    Question(
        "deep-page",
        f"all, page of {PAGE} at four fifths",
        lambda p, n: f"limit={PAGE}&offset={p.count * 4 // 5}",
        whole=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind of query, asked some times among a population."""

    question: Question
    population: Callable[[Stage], Population]
    count: Callable[[Stage], int]

    def __call__(self, stage: Stage, server: Server, number: int) -> Samples:
        """Seconds of each."""
        population, count = self.population(stage), self.count(stage)
        first = max(number, 0) * count
        with Connection(HOST, server.http_port) as connection:
            paths = [self.question.path(server, population, first + each) for each in range(count)]
            return {SECONDS: [timed(connection, path, JSON) for path in paths]}

    def check(self, stage: Stage, servers: Sequence[Server]) -> None:
        """Each side finds as many, and the same where the answer has all matches. Raises Mismatch."""
        population = self.population(stage)
        found = {server.name: self._found(server, population) for server in servers}
        for name, studies in found.items():
            if not studies or (self.question.exact and len(studies) > 2):
                raise Mismatch(f"{name} finds {len(studies)} studies for {self.question.title}")
        ours, *others = found.values()
        for other in others:
            if len(other) != len(ours) or (self.question.whole and other != ours):
                raise Mismatch(f"{self.question.title}: {[len(each) for each in found.values()]} studies")

    def _found(self, server: Server, population: Population) -> set[str]:
        with Connection(HOST, server.http_port) as connection:
            answer = connection.get(self.question.path(server, population, 0), JSON, keep=True)
        studies = json.loads(answer.body) if answer.body else []
        return {study["0020000D"]["Value"][0] for study in studies}


def _row(question: Question) -> Row:
    must, aim = (50, 100) if question.exact else (20, 100)
    asked = Asked(question, lambda stage: stage.population, lambda stage: stage.scale.questions)
    title = f"QIDO-RS, 50,000 studies: {question.title}"
    metrics = (
        Metric(
            SECONDS,
            title,
            Unit.MILLISECONDS,
            must,
            aim,
            Of.MEDIAN_WITHOUT_STALLS,
            at_most=None if question.exact else 30,
        ),
        Metric(SECONDS, f"{title}, with the stalls", Unit.MILLISECONDS, of=Of.MEAN),
    )
    return Row(f"qido-{question.id}", Ground.STUDIES, metrics, asked, check=asked.check)


def _find(stage: Stage, server: Server, number: int) -> Samples:
    return {SECONDS: [dcmtk.find_year(server, YEARS[(number + each) % len(YEARS)]) for each in range(3)]}


def _check_find(stage: Stage, servers: Sequence[Server]) -> None:
    counts = [dcmtk.count_year(server, YEARS[0]) for server in servers]
    if len(set(counts)) != 1 or not counts[0]:
        raise Mismatch(f"C-FIND of a year: {counts} answers")


ROWS = (
    *(_row(question) for question in QUESTIONS),
    Row(
        "c-find-year",
        Ground.STUDIES,
        (
            Metric(
                SECONDS,
                "C-FIND, 50,000 studies: the 4,500 of a year",
                Unit.SECONDS,
                2,
                5,
                Of.MEDIAN_WITHOUT_STALLS,
            ),
        ),
        _find,
        check=_check_find,
    ),
)
