"""`archive audit`: who did what is shown, written and verified; and that somebody looked is recorded."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from archive import config
from archive.bootstrap import building
from archive.dicom.instance import StoredInstance
from archive.security.actor import Actor
from in_process import in_folder
from suites.sqlite import prepare

DOCTOR = Actor("HTTP", "192.0.2.9", user="jdoe")
SCANNER = Actor("DIMSE", "192.0.2.7", "SCANNER")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    settings = replace(config.load(environment={}), data=tmp_path / "data")
    prepare(settings)
    archive = building.build(settings)
    archive.auditing.out.viewed(
        DOCTOR, [StoredInstance("1.2", "1.2.1", "1.2.1.1", "1.2.9", "1", "k", 0, 1, "")]
    )
    archive.auditing.refused(SCANNER, "this AE title is not known")

    def change(connection: object) -> None:
        archive.auditing.patients_changed(connection, DOCTOR, ["P1^^^H", "P2"])  # type: ignore[arg-type]

    archive.database.write(change)
    archive.close()
    return settings.data


def lines(data: Path, *arguments: str) -> list[list[str]]:
    done = in_folder(data, "audit", *arguments)
    assert done.code == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_what_happened_is_shown_newest_first_and_that_it_was_shown(data: Path) -> None:
    shown = lines(data, "list")
    assert [row[2] for row in shown] == [
        "Audit Log Used (read)",
        "Security Alert (Node Authentication)",
        "Patient Record (update)",
        "Patient Record (update)",
        "DICOM Instances Accessed (read)",
    ]
    assert [row[2] for row in lines(data, "list", "--event", "log used")] == ["Audit Log Used (read)"] * 2


def test_what_is_sought_is_found(data: Path) -> None:
    for options, positions in (
        (("--user", "SCANNER"), ["4"]),
        (("--user", "jdoe"), ["3", "2", "1"]),
        (("--study", "1.2"), ["1"]),
        (("--patient", "P1"), ["2"]),
        (("--address", "192.0.2.7"), ["4"]),
        (("--event", "110113"), ["4"]),
        (("--event", "alert", "--user", "jdoe"), []),
        (("--until", "2001-01-01"), []),
        (("--since", "2001-01-01", "--limit", "1", "--user", "jdoe"), ["3"]),
    ):
        assert [row[0] for row in lines(data, "search", *options)] == positions, options


def test_what_cannot_be_sought_is_said(data: Path) -> None:
    for options in (("--event", "nonsense"), ("--since", "yesterday")):
        assert in_folder(data, "audit", "list", *options).code == 2, options


def test_everyone_who_touched_a_patient(data: Path) -> None:
    assert [row[:4] for row in lines(data, "patient", "P1")] == [
        ["jdoe", "192.0.2.9", "Patient Record (update)", "1"]
    ]
    assert lines(data, "patient", "nobody") == []
    (asked, *_) = lines(data, "list", "--event", "110101")
    assert asked[2] == "Audit Log Used (read)"


def test_a_whole_trail_is_verified_and_an_altered_one_is_not(data: Path) -> None:
    assert in_folder(data, "audit", "verify").stdout.startswith("5 records are as they were written")
    with sqlite3.connect(data / "index.sqlite") as connection:
        connection.execute("DELETE FROM audit_record WHERE id = 2")
    connection.close()
    done = in_folder(data, "audit", "verify")
    assert (done.code, "record 2 is missing" in done.stderr) == (1, True)


def test_an_anchor_may_be_given(data: Path) -> None:
    with sqlite3.connect(data / "index.sqlite") as connection:
        (digest,) = connection.execute("SELECT hash FROM audit_record WHERE id = 3").fetchone()
    connection.close()
    assert "1 anchors bear" in in_folder(data, "audit", "verify", "--anchor", f"3:{digest}").stdout
    assert in_folder(data, "audit", "verify", "--anchor", f"3:{'0' * 64}").code == 1
    assert in_folder(data, "audit", "verify", "--anchor", "3").code == 2


def test_messages_are_written_one_a_line(data: Path, tmp_path: Path) -> None:
    schema = etree.RelaxNG(etree.parse(Path(__file__).parents[1] / "audit" / "audit_message.rng"))
    lines(data, "export", str(tmp_path / "a.xml"))
    written = (tmp_path / "a.xml").read_bytes().splitlines()
    assert len(written) == 5
    for line in written:
        schema.assertValid(etree.fromstring(line))
    lines(data, "export", str(tmp_path / "a.json"), "--format", "fhir", "--after", "3")
    found = [json.loads(line) for line in (tmp_path / "a.json").read_bytes().splitlines()]
    assert [one["type"]["code"] for one in found] == ["110113", "110101", "110101"]
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600
    assert in_folder(data, "audit", "export", str(tmp_path / "a.json")).code == 2  # never over another
    assert in_folder(data, "audit", "export", "-", "--format", "csv").code == 2


def test_a_reindex_and_a_backup_carry_the_trail_over(data: Path, tmp_path: Path) -> None:
    assert in_folder(data, "reindex").code == 0
    assert in_folder(data, "audit", "verify").stdout.startswith("5 records")
    assert in_folder(data, "backup", str(tmp_path / "backup")).code == 0
    restored = tmp_path / "restored"
    done = in_folder(restored, "restore", str(tmp_path / "backup"))
    assert done.code == 0, done.stderr
    assert in_folder(restored, "audit", "verify").stdout.startswith("6 records")
