"""`archive` commands run in the test's own process: as a person types them, without the second that a start takes."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import structlog

from archive.cli import commands
from archive.supervisor import logs
from archive_process import Finished, clean_environment


@contextlib.contextmanager
def logging_put_back() -> Iterator[None]:
    """Whatever the block makes of this process's logging is undone."""
    handlers, level = logging.root.handlers[:], logging.root.level
    hooks = sys.excepthook, threading.excepthook
    levels = {name: logging.getLogger(name).level for name in (*logs.QUOTES_VALUES, *logs.CHATTERS)}
    try:
        with warnings.catch_warnings():
            yield
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        sys.excepthook, threading.excepthook = hooks
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)


def archive_here(*arguments: str, environment: Mapping[str, str] | None = None) -> Finished:
    """Run an `archive` command to its end."""
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with (
        logging_put_back(),
        mock.patch.object(sys, "argv", ["archive", *arguments]),
        mock.patch.dict(os.environ, clean_environment(environment), clear=True),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            commands.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Finished(code, stdout.getvalue(), stderr.getvalue())


def in_folder(data: Path, *arguments: str) -> Finished:
    """The same, with --data."""
    return archive_here(*arguments, "--data", str(data))
