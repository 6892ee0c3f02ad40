"""The floors: what the machine could do if nobody had to be an archive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import server
from benchmarks.servers.server import HOST

STORESCP_AE_TITLE = "STORESCP"


def copy_with_fsync(files: Iterable[Path], folder: Path) -> None:
    """Copy files one after another, each and its folder fsynced before the next: what strict durability costs."""
    folder.mkdir(parents=True, exist_ok=True)
    directory = os.open(folder, os.O_RDONLY)
    try:
        for number, path in enumerate(files):
            with path.open("rb") as source, (folder / f"{number}.dcm").open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def storescp(folder: Path, keep: bool = True, nodelay: bool = True) -> Iterator[int]:
    """DCMTK's storescp: its port. It writes what comes without fsync; without `keep` it throws it away."""
    port = server.free_port()
    folder.mkdir(parents=True, exist_ok=True)
    where = ["+B", "-od", str(folder)] if keep else ["--ignore"]
    command = ["storescp", "--fork", "-q", "-pdu", "131072", "-aet", STORESCP_AE_TITLE, *where, str(port)]
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    process = server.start(
        command, folder.parent / "storescp.log", environment | ({"TCP_NODELAY": "1"} if nodelay else {})
    )
    try:
        server.await_ready(process, lambda: server.listens(port), folder.parent / "storescp.log")
        yield port
    finally:
        server.end(process)


_NGINX = """\
{user}daemon off;
worker_processes auto;
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen {host}:{port}; root {root}; }}
}}
"""


@contextmanager
def nginx(root: Path, folder: Path) -> Iterator[int]:
    """nginx with sendfile over the files of a folder: its port."""
    port = server.free_port()
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""  # else its workers could not read the folder
    settings.write_text(_NGINX.format(user=user, folder=folder, host=HOST, port=port, root=root))
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nginx"
    process = server.start([program, "-c", str(settings), "-e", str(folder / "log")], folder / "out")
    try:
        server.await_ready(process, lambda: server.listens(port), folder / "log")
        yield port
    finally:
        server.end(process)
