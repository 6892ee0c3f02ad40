"""Objects that become something else on their way in: what is kept, what is recognised, what is left behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.bootstrap.building import Archive
from archive.dicom.errors import CannotUnderstand, InstanceConflict, NotAcceptable, OutOfResources
from archive.dicom.instance import Scope, Source
from archive.index import instances
from archive.services.duplicates import Policy
from archive.services.receipts import COERCED, Receipt
from archive.services.shaping import Received, Shape, Shaper
from held import SCANNER, check, files, settle_down, version_of
from objects import encoded, new_uid, part10, secondary_capture

OTHER = Source("STOW-RS")


def store(archive: Archive, data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> Receipt:
    with archive.ingest.data_set(syntax, data_set.SOPClassUID, data_set.SOPInstanceUID, SCANNER) as reception:
        reception.write(encoded(data_set, syntax))
        return reception.finish()


def naming(name: str, syntax: str = ExplicitVRLittleEndian, tags: tuple[int, ...] = ()) -> Shaper:
    """Gives the patient a name, or another transfer syntax."""

    def shaper(received: Received) -> Shape:
        def pieces() -> Iterator[bytes]:
            with received.open() as blob:
                data_set = dcmread(BytesIO(blob.read(0, blob.length)))
            assert data_set.SOPInstanceUID == received.instance.SOPInstanceUID
            data_set.PatientName = name or data_set.PatientName
            raw = encoded(data_set, syntax)
            yield from (raw[start : start + 1000] for start in range(0, len(raw), 1000))

        return Shape(syntax, pieces, tags)

    return shaper


def failing(error: Exception, *, optional: bool) -> Shaper:
    def pieces() -> Iterator[bytes]:
        yield b"\x08\x00"
        raise error

    return lambda _: Shape(ImplicitVRLittleEndian, pieces, optional=optional)


def kept(archive: Archive, data_set: Dataset) -> Dataset:
    instance = archive.retrieve.instance(Scope(sop_instance_uids=(data_set.SOPInstanceUID,)))
    with archive.retrieve.open(instance) as blob:
        return dcmread(BytesIO(blob.read(0, blob.length)))


def digest(data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> str:
    return hashlib.sha256(encoded(data_set, syntax)).hexdigest()


def test_shapers_work_one_after_the_other(archive: Archive) -> None:
    archive.ingest.shapers = (
        naming("FIRST", tags=(0x00100010,)),
        lambda _: None,
        naming("", ImplicitVRLittleEndian, (0x00080080,)),
    )
    data_set = secondary_capture(PatientName="BEFORE")
    receipt = store(archive, data_set)
    assert (receipt.warning, receipt.offending) == (COERCED, (0x00080080, 0x00100010))
    found = kept(archive, data_set)
    assert (found.PatientName, found.PixelData) == ("FIRST", data_set.PixelData)
    assert found.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    stored = archive.retrieve.instance(Scope())
    assert stored.received_sha256 == digest(data_set)
    assert (stored.transfer_syntax_uid, stored.received_transfer_syntax_uid) == (
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
    )
    assert len(files(archive)) == 1
    check(archive)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_re_send_is_recognised_before_anything_is_shaped(archive: Archive, syntax: str) -> None:
    data_set = secondary_capture()
    archive.ingest.shapers = (naming("OTHER", syntax),)
    store(archive, data_set)
    archive.ingest.shapers = (failing(AssertionError("shaped again"), optional=False),)
    before = files(archive)
    assert store(archive, data_set).already_there
    with archive.ingest.part10(OTHER) as reception:
        reception.write(part10(data_set))
        assert reception.finish().already_there
    assert files(archive) == before


def test_what_is_kept_is_the_same_object_as_well(archive: Archive) -> None:
    data_set = secondary_capture()
    archive.ingest.shapers = (naming("OTHER", ImplicitVRLittleEndian),)
    store(archive, data_set)
    again = kept(archive, data_set)
    assert store(archive, again, ImplicitVRLittleEndian).already_there
    # The same bytes said to be in another transfer syntax mean something else.
    with pytest.raises((InstanceConflict, CannotUnderstand)):
        store(archive, again, ExplicitVRLittleEndian)


def test_the_header_stays_unless_the_transfer_syntax_changes(archive: Archive) -> None:
    titles = []
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        data_set = secondary_capture()
        archive.ingest.shapers = (naming("OTHER", syntax),)
        with archive.ingest.part10(OTHER) as reception:
            reception.write(part10(data_set, SourceApplicationEntityTitle="SCANNER"))
            reception.finish()
        titles.append(kept(archive, data_set).file_meta.get("SourceApplicationEntityTitle"))
    assert titles == ["SCANNER", None]


@pytest.mark.parametrize("error", [NotAcceptable("odd"), CannotUnderstand("odd")])
def test_an_optional_shape_that_fails_leaves_the_object_as_it_came(
    archive: Archive, error: Exception
) -> None:
    data_set = secondary_capture()
    archive.ingest.shapers = (failing(error, optional=True), naming("AFTERWARDS"))
    assert store(archive, data_set).warning == 0
    found = kept(archive, data_set)
    assert (found.PatientName, found.PixelData) == ("AFTERWARDS", data_set.PixelData)
    check(archive)


@pytest.mark.parametrize("before", [(), (naming("FIRST"),)])
@pytest.mark.parametrize(
    ("error", "optional"), [(NotAcceptable("odd"), False), (OutOfResources("full"), True), (KeyError(), True)]
)
def test_any_other_failure_refuses_the_object_and_leaves_nothing(
    archive: Archive, before: tuple[Shaper, ...], error: Exception, optional: bool
) -> None:
    archive.ingest.shapers = (*before, failing(error, optional=optional))
    with pytest.raises(type(error)):
        store(archive, secondary_capture())
    assert files(archive) == []
    assert archive.retrieve.instances(Scope()) == []


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_no_shape_makes_another_object_of_it(archive: Archive, keyword: str) -> None:
    data_set = secondary_capture()

    def shaper(_: Received) -> Shape:
        return Shape(
            ExplicitVRLittleEndian, lambda: iter([encoded(version_of(data_set, **{keyword: new_uid()}))])
        )

    archive.ingest.shapers = (shaper,)
    with pytest.raises(CannotUnderstand, match="another object"):
        store(archive, data_set)
    assert files(archive) == []


def test_what_is_broken_after_shaping_is_never_stored(archive: Archive) -> None:
    data_set = secondary_capture()
    cut = encoded(data_set)[:-10]
    archive.ingest.shapers = (lambda _: Shape(ExplicitVRLittleEndian, lambda: iter([cut])),)
    with pytest.raises(CannotUnderstand):
        store(archive, data_set)
    assert files(archive) == []


def test_twenty_at_once_make_one(archive: Archive) -> None:
    archive.ingest.shapers = (naming("OTHER", ImplicitVRLittleEndian),)
    data_set = secondary_capture()
    with ThreadPoolExecutor(20) as pool:
        receipts = list(pool.map(lambda _: store(archive, data_set), range(20)))
    assert sum(not receipt.already_there for receipt in receipts) == 1
    settle_down(archive)
    check(archive)
    assert len(files(archive)) == 1


def test_conflicts_are_about_what_was_received(archive: Archive) -> None:
    """A version is shaped before it is kept aside, is recognised when it comes again, and can be accepted."""
    first = secondary_capture(PatientID="A")
    second = version_of(first)
    archive.ingest.shapers = (naming("", ImplicitVRLittleEndian),)
    archive.ingest.policy_of = lambda _: Policy.CONFLICT
    store(archive, first)
    numbers = {store(archive, second).conflict_id for _ in range(3)}
    assert len(numbers) == 1
    one = archive.conflicts.get(numbers.pop())
    assert (one.times, one.sha256) == (3, digest(second))
    assert (one.transfer_syntax_uid, one.received_transfer_syntax_uid) == (
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
    )
    from archive.services.conflicts import Decision

    archive.conflicts.decide(one.id, Decision.ACCEPT, "test")
    assert store(archive, second).already_there
    assert kept(archive, second).PatientComments == second.PatientComments
    back = store(archive, first)
    assert back.kept_aside
    with archive.database.read() as connection:
        stored = instances.find_instance(connection, first.SOPInstanceUID)
    assert stored is not None
    assert stored.received.sha256 == digest(second)
    check(archive)


def test_the_spool_is_empty_afterwards(archive: Archive, tmp_path: Path) -> None:
    archive.ingest.shapers = (naming("A"), naming("B"), naming("C"))
    store(archive, secondary_capture())
    assert list((tmp_path / "data" / "spool").iterdir()) == []
