"""The harness runs: each kind of row once and small, against the real archive; the peer is not needed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.loads import dcmtk
from benchmarks.reporting import results
from benchmarks.rows.row import Ground
from benchmarks.rows.table import ROWS, chosen

CHOSEN = ["c-store-mr-1", "qido-day", "metadata-gzip", "rendered", "large-stow", "million-ingest", "mixed"]


@pytest.fixture
def tools() -> None:
    missing = [tool for tool in (*dcmtk.NEEDED, "findmnt") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (apt install dcmtk util-linux)")


@pytest.mark.usefixtures("tools")
def test_a_row_on_each_ground_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "output"
    options = ["--quick", "--no-peer", "--data", str(tmp_path / "data"), "--output", str(output)]
    assert main([*CHOSEN, *options]) == 0, capsys.readouterr().err
    measured = results.read(output)
    assert list(measured) == CHOSEN
    for row in chosen(CHOSEN):
        one = measured[row.id]
        assert all(one.value(metric, one.ours) is not None for metric in row.metrics), row.id
        assert set(one.floors) == {floor.title for floor in row.floors}
    assert measured["million-ingest"].ratio(chosen(["million-ingest"])[0].metrics[0]) is not None
    assert "QUICK" in (output / "table.md").read_text()
    assert "C-STORE MR, 1 association" in capsys.readouterr().out
    assert not list((tmp_path / "data").glob("run-*")), "what only this run needed is gone"

    held = sorted((tmp_path / "data" / "holdings").iterdir())
    marks = [(folder / "filled.json").stat().st_mtime_ns for folder in held]
    assert main(["qido-patient", *options]) == 0, capsys.readouterr().err
    assert [(folder / "filled.json").stat().st_mtime_ns for folder in held] == marks, (
        "held studies are used again"
    )
    assert list(results.read(output)) == [*CHOSEN, "qido-patient-id"], "rows of earlier runs stay"


def test_the_rows_chosen_above_stand_on_every_ground() -> None:
    assert {row.ground for row in chosen(CHOSEN)} == set(Ground) - {Ground.LARGE}
    assert {row.ground for row in ROWS} == set(Ground)


def test_the_rows_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "qido"]) == 0
    assert "qido-patient-id" in capsys.readouterr().out


def test_a_row_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "nonsense" in capsys.readouterr().err
