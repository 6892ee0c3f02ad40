"""Fixtures for every test. What lies beside the project is used when it is there, and named when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real DICOM files beside the project."""
    folder = REPOSITORY.parent / "shared" / "data" / "pydicom-data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the project")
    return folder


@pytest.fixture(scope="session")
def pydicom_data() -> Path:
    """The DICOM files that pydicom's own wheel brings."""
    import pydicom.data

    return Path(pydicom.data.__file__).parent
