"""The data folder, its lock, and the sockets."""

from __future__ import annotations

import dataclasses
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from archive.dicom.errors import ConfigurationError
from archive.settings.values import Address
from archive.settings.whole import Settings
from archive.supervisor import ground


def settings(data: Path) -> Settings:
    return dataclasses.replace(Settings(), data=data)


def test_the_data_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    with ground.sole_supervisor(settings(tmp_path / "a" / "data")):
        assert stat.S_IMODE((tmp_path / "a" / "data").stat().st_mode) == 0o700


def test_one_supervisor_at_a_time(tmp_path: Path) -> None:
    with (
        ground.sole_supervisor(settings(tmp_path)),
        pytest.raises(ConfigurationError, match="served by another archive"),
        ground.sole_supervisor(settings(tmp_path)),
    ):
        pass
    with ground.sole_supervisor(settings(tmp_path)):
        pass


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigurationError, match="--data"),
        ground.sole_supervisor(settings(tmp_path / "file" / "data")),
    ):
        pass


def test_port_zero_becomes_a_real_port() -> None:
    with ground.listen(Address("127.0.0.1", 0), "--http") as listener:
        assert ground.bound_address(listener, Address("127.0.0.1", 0)).port == listener.getsockname()[1] > 0


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6() -> None:
    try:
        listener = ground.listen(Address("::1", 0), "--http")
    except ConfigurationError as error:
        assert "no such address" in error.reason  # noqa: PT017 - IPv6 may be switched off
        return
    assert listener.family is socket.AF_INET6
    listener.close()


def test_a_port_in_use_names_the_port_and_the_option() -> None:
    with ground.listen(Address("127.0.0.1", 0), "--http") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"{port}.*in use.*--dimse"):
            ground.listen(Address("127.0.0.1", port), "--dimse")


def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1.*--http"):
        ground.listen(Address("192.0.2.1", 8080), "--http")
    with pytest.raises(ConfigurationError, match="--http"):
        ground.listen(Address("no.such.host.invalid", 8080), "--http")


def test_workers_may_open_many_files() -> None:
    limit = "import resource; from archive.supervisor.ground import allow_many_files; "
    limit += "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 500)); allow_many_files(); "
    limit += "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    done = subprocess.run([sys.executable, "-c", limit], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(500, 500)"
