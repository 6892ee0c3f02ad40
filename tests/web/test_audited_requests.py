"""Whoever sees, gets, looks for, brings or deletes something by HTTP is in the audit trail, before the answer goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archive.dicom.errors import OutOfResources
from objects import part10, secondary_capture
from web_door import STUDIES, Door

STUDY, SERIES, INSTANCE = "1.2.3", "1.2.3.4", "1.2.3.4.5"
PATH = f"{STUDIES}/{STUDY}"
OF_INSTANCE = f"{PATH}/series/{SERIES}/instances/{INSTANCE}"
WADO = f"/wado?requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}&objectUID={INSTANCE}"
VIEWED = ("110103", "R")
BEGUN = ("110102", "E")

READS = {
    f"{PATH}/metadata": VIEWED,
    f"{PATH}/series/{SERIES}/metadata": VIEWED,
    f"{OF_INSTANCE}/metadata": VIEWED,
    f"{OF_INSTANCE}/frames/1": VIEWED,
    f"{OF_INSTANCE}/frames/1/rendered": VIEWED,
    f"{OF_INSTANCE}/bulkdata/7FE00010": VIEWED,
    f"{OF_INSTANCE}/rendered": VIEWED,
    f"{PATH}/rendered": VIEWED,
    f"{PATH}/thumbnail": VIEWED,
    PATH: BEGUN,
    f"{PATH}/series/{SERIES}": BEGUN,
    OF_INSTANCE: BEGUN,
    f"{PATH}?accept=application/zip": BEGUN,
    WADO: VIEWED,
    f"{WADO}&contentType=application/dicom": BEGUN,
}


@pytest.fixture
def filled(empty_door: Door) -> Door:
    one = secondary_capture(
        PatientID="P1", StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES, SOPInstanceUID=INSTANCE
    )
    assert empty_door.store(part10(one)).status_code == 200
    empty_door.archive.auditing.trail.flush()
    return empty_door


def told(door: Door) -> list[tuple[str, str]]:
    return [(one.message.event.value, one.message.action) for one in door.archive.audit_log.all()]


def test_every_way_to_see_or_get_instances_is_recorded_before_the_answer(filled: Door) -> None:
    assert told(filled) == [("110104", "C")]
    for path, event in READS.items():
        filled.archive.auditing.trail.flush()
        before = len(told(filled))
        assert filled.client.get(path).status_code == 200, path
        assert told(filled)[before:] == [event], path
    for one in filled.archive.audit_log.all():
        assert one.message.patient_ids == ("P1",)
        assert one.message.study_instance_uids == (STUDY,)
        assert one.message.requestor.address == "127.0.0.1"
    assert filled.archive.audit_log.verify().fault == ""


def test_a_thousand_requests_of_a_viewer_are_one_record(filled: Door) -> None:
    for _ in range(30):
        assert filled.client.get(f"{OF_INSTANCE}/frames/1").status_code == 200
    filled.archive.auditing.trail.flush()
    assert told(filled)[1:] == [VIEWED]


def test_a_search_is_recorded_with_its_question(filled: Door) -> None:
    asked = f"{PATH}/series?Modality=OT&includefield=all"
    assert filled.client.get(asked).status_code in (200, 204)
    filled.archive.auditing.trail.flush()
    *_, query = filled.archive.audit_log.all()
    assert query.message.event.value == "110112"
    assert query.message.subjects[0].query == asked.removeprefix("/dicom-web").encode()


def test_what_is_not_there_was_not_seen(filled: Door) -> None:
    assert filled.client.get(f"{STUDIES}/1.2.9/metadata").status_code == 404
    filled.archive.auditing.trail.flush()
    assert told(filled) == [("110104", "C")]


def test_a_deletion_is_recorded_in_its_transaction(filled: Door) -> None:
    assert filled.client.delete(PATH).status_code == 204
    *_, deleted = filled.archive.audit_log.all()
    assert (deleted.message.event.value, deleted.message.patient_ids) == ("110105", ("P1",))
    assert deleted.message.subjects[0].details == (("NumberOfInstances", "1"),)


def test_part_of_a_study_is_no_deleted_study(filled: Door) -> None:
    other = secondary_capture(PatientID="P1", StudyInstanceUID=STUDY)
    assert filled.store(part10(other)).status_code == 200
    assert filled.client.delete(OF_INSTANCE).status_code == 204
    assert told(filled)[-1] == ("110103", "D")


def test_where_records_are_required_nothing_goes_without(
    open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(audit__required=True)
    one = secondary_capture(StudyInstanceUID=STUDY)
    assert door.store(part10(one)).status_code == 200

    def refuse(*_: object) -> None:
        raise OutOfResources("the index takes nothing")

    with monkeypatch.context() as broken:
        broken.setattr(door.archive.database, "write", refuse)
        assert door.client.get(f"{PATH}/metadata").status_code == 503
    assert door.client.get(f"{PATH}/metadata").status_code == 200
