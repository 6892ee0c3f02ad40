"""The peer: Orthanc with DICOMweb from Debian's packages, in a chroot (`benchmarks/peers/orthanc.sh`).

Settings as it comes but for those that only let others in, and TcpNoDelay, which is for its benefit.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from benchmarks.loads.http import Connection
from benchmarks.servers import server
from benchmarks.servers.server import HOST, SINK_AE_TITLE, Server, ServerFault

NAME = "Orthanc"
DURABILITY = "as it comes: each file fdatasynced before Success, its folder and the index later"
SCRIPT = Path(__file__).parents[1] / "peers" / "orthanc.sh"
_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


def install(root: Path) -> None:
    """Make the chroot unless it is there. Raises ServerFault."""
    done = subprocess.run(
        [SCRIPT, "install", root], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise ServerFault(f"the peer cannot be installed in {root}: {done.stdout[-2000:]}")


def installed_version(root: Path) -> str:
    """As the package manager of the chroot knows it."""
    done = subprocess.run([SCRIPT, "version", root], capture_output=True, text=True, check=False)
    return done.stdout.strip().removeprefix(f"{NAME} ") or "unknown"


def start(folder: Path, sink_port: int, root: Path, nodelay: bool = True) -> Server:
    """Start it on an empty or a held folder. `nodelay`: with Nagle's algorithm off, also for its DIMSE side."""
    http_port, dimse_port = server.free_port(), server.free_port()
    data, log = folder / "data", folder / "log"
    data.mkdir(parents=True, exist_ok=True)
    settings = json.dumps(_settings(http_port, dimse_port, sink_port, nodelay), indent=1)
    (data / "orthanc.json").write_text(settings)
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    environment |= {"TCP_NODELAY": "1"} if nodelay else {}
    process = server.start([str(SCRIPT), "run", str(root), str(data)], log, environment)
    server.await_ready(process, lambda: _answers(http_port), log)
    return Server(
        name=NAME,
        version=installed_version(root),
        durability=DURABILITY,
        process=process,
        folder=folder,
        http_port=http_port,
        dimse_port=dimse_port,
        ae_title="ORTHANC",
        log=log,
    )


def _answers(port: int) -> bool:
    if not server.listens(port):
        return False
    with Connection(HOST, port) as connection:
        return connection.request("GET", "/system").status == 200


def _settings(http_port: int, dimse_port: int, sink_port: int, nodelay: bool) -> dict[str, object]:
    return {
        "Name": "peer",
        "StorageDirectory": "/mnt",
        "IndexDirectory": "/mnt",
        "HttpPort": http_port,
        "DicomPort": dimse_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowGet": True,
        "DicomCheckCalledAet": False,
        "KeepAlive": True,
        "TcpNoDelay": nodelay,
        "LimitFindResults": 0,
        "LimitFindInstances": 0,
        "StorageAccessOnFind": "Never",
        "SaveJobs": False,
        "StorageCompression": False,
        "Plugins": [_PLUGIN],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": True, "WadoRoot": "/wado"},
        "DicomModalities": {"SINK": [SINK_AE_TITLE, HOST, sink_port]},
    }
