"""`archive` commands run in the test's own process: as a person types them, without the second that a start takes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from archive.cli import commands
from archive_process import Finished, clean_environment
from logging_kept import logging_put_back


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
