"""`archive delete`, `archive deletions` and `archive hold`, as a person uses them."""

from __future__ import annotations

from pathlib import Path

from objects import secondary_capture
from test_rejections_command import Administrator


def test_delete_hold_and_list(tmp_path: Path) -> None:
    person = Administrator(tmp_path)
    one = secondary_capture(PatientID="1")
    person.imports(one)
    held = person.runs("add", "--patient", "1", "--reason", "a court", command="hold")
    assert held.stdout == "Hold 1 stands, on 1 studies by name.\n"
    wanted = ("study", one.StudyInstanceUID, "--reason", "asked for")
    refused = person.runs(*wanted, command="delete")
    assert (refused.code, "hold 1" in refused.stderr) == (1, True)
    assert person.runs("lift", "1", "--reason", "over", command="hold").code == 0
    assert "over" in person.runs("list", "--all", command="hold").stdout
    done = person.runs(*wanted, command="delete")
    assert done.stdout.startswith("Deletion 1: 1 instances are deleted"), done.stderr
    listed = person.runs("list", command="deletions").stdout.split("\t")
    assert listed[:4] == ["1", "deleted", "study", one.StudyInstanceUID]
    assert one.StudyInstanceUID in person.runs("show", "1", command="deletions").stdout
    early = person.runs("certificate", "1", command="deletions")
    assert (early.code, "no certificate yet" in early.stderr) == (1, True)
    assert person.runs("due", command="deletions").stdout == ""
    assert person.runs("approve", "1", command="deletions").code == 1
