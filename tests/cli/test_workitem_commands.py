"""`archive workitems …` as a person uses it (dimse.md 1.5 UPS)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.services.workitems import GLOBAL
from in_process import in_folder
from suites.sqlite import prepare
from workitem_sets import as_json, workitem

LOCK = "1.2.840.99"


@contextmanager
def opened(data: Path) -> Iterator[Archive]:
    settings = config.load(environment={}, overrides={"data": str(data)})
    prepare(settings)
    archive = building.build(settings)
    try:
        yield archive
    finally:
        archive.close()


def lines(data: Path, *command: str) -> list[list[str]]:
    done = in_folder(data, "workitems", *command)
    assert done.code == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_a_workitem_whose_performer_is_gone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with opened(data) as archive:
        archive.workitems.create("1.2.3", as_json(workitem(PatientName="Müller^Jörg")))
        archive.workitems.change_state("1.2.3", "IN PROGRESS", LOCK, "LINAC")
    row = [
        "20261123101500",
        "IN PROGRESS",
        "MEDIUM",
        "P1",
        "Müller^Jörg",
        "Deliver fraction 3",
        "LINAC",
        "1.2.3",
    ]
    assert lines(data, "list") == lines(data, "list", "--state", "IN PROGRESS") == [row]
    assert lines(data, "list", "--state", "SCHEDULED") == []
    shown = in_folder(data, "workitems", "show", "1.2.3").stdout
    assert json.loads(shown)["ProcedureStepState"] == "IN PROGRESS"
    assert LOCK not in shown
    assert lines(data, "cancel", "1.2.3", "--reason", "console replaced") == [["1.2.3 is CANCELED"]]
    assert lines(data, "cancel", "1.2.3") == [["1.2.3 was CANCELED already"]]
    assert "console replaced" in in_folder(data, "workitems", "show", "1.2.3").stdout


def test_a_subscriber_that_is_gone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with opened(data) as archive:
        archive.ae_titles.add("WARD", "127.0.0.1", 1)
        archive.workitems.subscribe("WARD", GLOBAL, deletion_lock=True, reported=True)
        archive.workitems.create("1.2.3", as_json(workitem()))
        archive.workitems.create("1.2.4", as_json(workitem()))
        archive.workitems.subscribe("VIEWER", "1.2.3")
        archive.workitem_events.failed("WARD", 1, "switched off", given_up=False)
    assert lines(data, "subscribers") == [
        ["VIEWER", "HTTP", "1", "0", "", "0", ""],
        ["WARD", "N-EVENT-REPORT", "2", "2", "all", "2", "switched off"],
    ]
    assert lines(data, "unsubscribe", "VIEWER", "--workitem", "1.2.3") == [["VIEWER is told no longer"]]
    assert lines(data, "unsubscribe", "WARD") == [["WARD is told no longer"]]
    assert lines(data, "subscribers") == [["WARD", "N-EVENT-REPORT", "0", "0", "", "2", "switched off"]]


def test_what_is_not_there(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with opened(data):
        pass
    for command in (("show", "1.2"), ("cancel", "1.2"), ("unsubscribe", "WARD"), ("list", "--state", "x")):
        done = in_folder(data, "workitems", *command)
        assert done.code == 1
        assert done.stderr.startswith("archive: ")
