"""Logs are JSON lines, and quote no patient."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog

from archive.dicom.errors import NotFound
from archive.supervisor import logs
from in_process import logging_put_back

PATIENT = "Doe^Jane"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logging as a worker has it, into memory; put back afterwards."""
    text = io.StringIO()
    with logging_put_back():
        logs.configure("info", "dimse", text)
        yield text


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_its_fields(stream: io.StringIO) -> None:
    structlog.get_logger().info("stored", SOPInstanceUID="1.2.3", seconds=0.5)
    structlog.get_logger().debug("not shown")
    (line,) = lines(stream)
    assert line["event"] == "stored"
    assert (line["SOPInstanceUID"], line["seconds"], line["level"], line["worker"]) == (
        "1.2.3",
        0.5,
        "info",
        "dimse",
    )
    assert str(line["timestamp"]).endswith("Z")


def test_libraries_log_in_the_same_form(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("started with %d", 3)
    (line,) = lines(stream)
    assert (line["event"], line["level"]) == ("started with 3", "warning")


@pytest.mark.parametrize("library", ["archive.x", "uvicorn.error"])
def test_an_exception_is_logged_without_its_words(stream: io.StringIO, library: str) -> None:
    try:
        raise ValueError(f"not a date: {PATIENT}")
    except ValueError:
        structlog.get_logger().error("failed", exc_info=True)
        logging.getLogger(library).exception("failed")
    assert PATIENT not in stream.getvalue()
    for line in lines(stream):
        assert line["exception"] == "builtins.ValueError"
        assert "test_logs.py" in str(line["where"])


def test_our_own_errors_keep_their_reason(stream: io.StringIO) -> None:
    structlog.get_logger().error("failed", exc_info=NotFound("nothing is stored there"))
    assert lines(stream)[0]["reason"] == "nothing is stored there"


def test_an_uncaught_exception_is_logged_the_same_way(stream: io.StringIO) -> None:
    error = ValueError(PATIENT)
    sys.excepthook(ValueError, error, None)

    def fail() -> None:
        raise ValueError(PATIENT)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert PATIENT not in stream.getvalue()
    assert [line["event"] for line in lines(stream)] == ["uncaught exception"] * 2


def test_what_dicom_libraries_say_is_not_passed_on(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("pydicom").error("Invalid value for VR DA: %s", PATIENT)
    logging.getLogger("pydicom.dataset").error("Invalid value for VR DA: %s", PATIENT)
    warnings.warn(PATIENT, UserWarning, stacklevel=1)
    assert PATIENT not in stream.getvalue() + capsys.readouterr().err
