"""DELETE of studies, series and instances: not in PS3.18, but shared by several archives; 404 and 410 are of 8.5."""

from __future__ import annotations

from conformance.client import DICOM, JSON
from conformance.native_model import text
from conformance.objects import Object, image, new_uid, series, study
from conformance.registry import check
from conformance.verdicts import Level, Skipped, expect
from conformance.world import World, uids_of

DONE = (200, 202, 204)
SHARED = "what several archives share"


def _three(w: World, tag: str) -> list[Object]:
    """Two instances of one series and one of another, stored. Raises `Failed` when they are not."""
    of = study(w.run, tag)
    first, second = series(of, "CT", 1), series(of, "CT", 2)
    many = [Object(tag, image(ds, n)) for n, ds in enumerate((first, first, second), 1)]
    w.store(*many).must(200)
    return many


def _delete(w: World, path: str) -> None:
    answer = w.client.send("DELETE", path, "*/*")
    if answer.status in (403, 404, 405, 501):
        raise Skipped(f"DELETE is not offered: status {answer.status}")
    answer.must(*DONE)


@check("DEL.1", "an instance is gone after DELETE, the others are not", SHARED, Level.EXTENSION)
def instance(w: World) -> None:
    one, beside, other = _three(w, "D1")
    _delete(w, one.instance)
    w.get(one.instance, DICOM).must(404, 410)
    w.get(beside.instance, DICOM).must(200)
    found = uids_of(w.search(one.study + "/instances"), "00080018")
    expect(set(found) == {beside.uid, other.uid}, f"{len(found)} instances are found")


@check("DEL.2", "counts follow", SHARED, Level.EXTENSION)
def counts(w: World) -> None:
    one, _, other = _three(w, "D2")
    _delete(w, one.instance)
    _delete(w, other.series)
    item = w.search("/studies", StudyInstanceUID=str(one.dataset.StudyInstanceUID))[0]
    found = (text(item, "00201206"), text(item, "00201208"))
    expect(found == ("1", "1"), f"{found} series and instances, not 1 and 1")


@check("DEL.3", "a series is gone after DELETE", SHARED, Level.EXTENSION)
def one_series(w: World) -> None:
    one, beside, other = _three(w, "D3")
    _delete(w, one.series)
    for gone in (one.series, beside.instance):
        w.get(gone, DICOM).must(404, 410)
    w.get(other.instance, DICOM).must(200)


@check("DEL.4", "a study is gone after DELETE", SHARED, Level.EXTENSION)
def whole_study(w: World) -> None:
    one, _, other = _three(w, "D4")
    _delete(w, one.study)
    for gone in (one.study, one.series, other.instance):
        w.get(gone, DICOM).must(404, 410)
    found = w.search("/studies", StudyInstanceUID=str(one.dataset.StudyInstanceUID))
    expect(not found, "search still finds it")


@check("DEL.5", "with its last instance the study is gone", SHARED, Level.EXTENSION)
def last_instance(w: World) -> None:
    many = _three(w, "D5")
    for one in many:
        _delete(w, one.instance)
    expect(not w.search("/studies", PatientID=str(many[0].dataset.PatientID)), "an empty study is found")


@check("DEL.6", "410 for what is known to be deleted", "8.5 (404, 410)", Level.EXTENSION)
def gone(w: World) -> None:
    """410 shall be given by a server that knows; one that forgets gives 404 rightly."""
    one, *_ = _three(w, "D6")
    _delete(w, one.instance)
    if w.get(one.instance + "/metadata", JSON).must(404, 410).status == 404:
        raise Skipped("the server does not remember what was deleted")
    w.get(one.instance, DICOM).must(410)
    w.get(one.instance + "/rendered", "image/jpeg").must(410)


@check("DEL.7", "what was deleted can be stored again", SHARED, Level.EXTENSION)
def stored_again(w: World) -> None:
    one, *_ = _three(w, "D7")
    _delete(w, one.instance)
    w.store(one).must(200)
    w.get(one.instance, DICOM).must(200)


@check("DEL.8", "DELETE of what is not there: 404", SHARED, Level.EXTENSION)
def absent(w: World) -> None:
    one, *_ = _three(w, "D8")
    _delete(w, one.instance)
    w.client.send("DELETE", f"/studies/{new_uid()}", "*/*").must(404)
    w.client.send("DELETE", one.instance, "*/*").must(404, 410)
