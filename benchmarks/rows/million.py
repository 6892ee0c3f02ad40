"""A million studies: only ours holds them, since filling the peer takes hours. Every query again, and storing into it
against storing into an empty archive."""

from __future__ import annotations

from benchmarks.loads import dcmtk
from benchmarks.rows.row import Ground, Metric, Of, Row, Samples, Unit
from benchmarks.rows.search import QUESTIONS, SECONDS, Asked, Question
from benchmarks.rows.store import RATE, must_have
from benchmarks.servers.server import Server
from benchmarks.stage import Stage
from benchmarks.synthetic.objects import MR, Series

ASSOCIATIONS = 4


def _row(question: Question) -> Row:
    asked = Asked(question, lambda stage: stage.million, lambda stage: stage.scale.million_questions)
    title = f"QIDO-RS, 1,000,000 studies: {question.title}, 95th percentile"
    metric = Metric(SECONDS, title, Unit.MILLISECONDS, of=Of.P95, at_most=100, aim_at_most=30)
    return Row(f"million-{question.id}", Ground.MILLION, (metric,), asked, alone=True)


def _store(stage: Stage, server: Server, number: int) -> Samples:
    """MR by four associations. What was stored before is there already, so these are new in each run."""
    count = stage.scale.mr if number >= 0 else 5
    names = [f"million {stage.salt}/{server.http_port}/{number}/{each}" for each in range(ASSOCIATIONS)]
    series = [Series(MR, name, count) for name in names]
    folders = [stage.scratch / name.replace("/", "-") for name in names]
    for each, folder in zip(series, folders, strict=True):
        folder.mkdir()
        for position, file in enumerate(each.files()):
            (folder / f"{position}.dcm").write_bytes(file)
    seconds = dcmtk.store(folders, server.dimse_port, server.ae_title)
    must_have(server, series)
    return {RATE: [count * ASSOCIATIONS / seconds]}


ROWS = (
    *(_row(question) for question in QUESTIONS),
    Row(
        "million-ingest",
        Ground.MILLION,
        (
            Metric(
                RATE,
                "C-STORE MR, 4 associations: into 1,000,000 studies against an empty archive",
                Unit.PER_SECOND,
                0.8,
                0.95,
            ),
        ),
        _store,
    ),
)
