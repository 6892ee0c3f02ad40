"""An object that a rule cannot be carried out on, as it turns out while it is written (dimse.md 1.2): it is kept as it
came, unless the rule is required."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from archive.bootstrap import building
from archive.config import load
from archive.dicom.errors import CannotUnderstand
from archive.dicom.instance import Scope, Source
from archive.dicom.writing.coercion import LONGEST
from archive.services.receipts import Receipt
from held import check
from objects import encoded, mr
from suites.sqlite import prepare

RULE = {"prefix": {"PatientID": "GH-"}}


def _with_a_long_record() -> Dataset:
    """Its Original Attributes Sequence is longer than one that an item is appended to."""
    data_set, item, former = mr(), Dataset(), Dataset()
    former.add_new(0x00091010, "UN", b"x" * LONGEST)
    item.ModifyingSystem, item.ModifiedAttributesSequence = "OTHER", [former]
    data_set.OriginalAttributesSequence = [item]
    return data_set


def _store(folder: Path, data_set: Dataset, **rule: Any) -> tuple[Receipt, str]:
    overrides = {"data": str(folder / "data"), "coercion_rules": [{**RULE, **rule}]}
    settings = load(environment={}, overrides=overrides)
    prepare(settings)
    archive = building.build(settings)
    try:
        syntax, source = ImplicitVRLittleEndian, Source("DIMSE", "192.0.2.1", "SCANNER", "ARCHIVE")
        ingest = archive.ingest
        with ingest.data_set(syntax, data_set.SOPClassUID, data_set.SOPInstanceUID, source) as reception:
            reception.write(encoded(data_set, syntax))
            receipt = reception.finish()
        scope = Scope(sop_instance_uids=(data_set.SOPInstanceUID,))
        kept = archive.retrieve.instance(scope)
        check(archive)
        return receipt, "as it came" if kept.received == kept.kept else "coerced"
    finally:
        archive.close()


def test_it_is_kept_as_it_came(tmp_path: Path) -> None:
    receipt, form = _store(tmp_path, _with_a_long_record())
    assert (form, receipt.warning, receipt.offending) == ("as it came", 0, ())


def test_a_required_rule_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(CannotUnderstand):
        _store(tmp_path, _with_a_long_record(), required=True)


def test_an_object_without_such_a_record_is_coerced(tmp_path: Path) -> None:
    for number, required in enumerate((False, True)):
        receipt, form = _store(tmp_path / str(number), mr(), required=required)
        assert (form, receipt.warning) == ("coerced", 0xB000)
