"""The whole of `archive serve`, in the order in which it must happen.

Folder and lock, sockets, index, workers: each step can refuse with a ConfigurationError before the next has
done anything. The sockets are bound before the index is touched, so a port in use costs nothing.
"""

from __future__ import annotations

import dataclasses
import socket
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from archive import config
from archive.bootstrap import announce, prepare
from archive.network.spreading import Spread
from archive.security import tls
from archive.settings import Address, Settings
from archive.supervisor import forking, ground, logs
from archive.supervisor.fleet import End, Fleet, Post


def serve(settings: Settings) -> int:
    """Run the archive until a signal ends it; the exit code: 0 after a clean drain.

    Raises ConfigurationError for what the administrator must change, OutOfResources without an index."""
    logs.configure(settings.log.level, "supervisor")
    with ground.sole_supervisor(settings) as let_go:
        http = ground.listen(settings.http.listen, "--http")
        dimse = ground.listen(settings.dimse.listen, "--dimse")
        settings = dataclasses.replace(
            settings,
            http=dataclasses.replace(settings.http, listen=ground.bound_address(http, settings.http.listen)),
            dimse=dataclasses.replace(
                settings.dimse, listen=ground.bound_address(dimse, settings.dimse.listen)
            ),
        )
        settings, secured = _listen_for_tls(settings)
        settings, orders = _listen_for_orders(settings)
        prepare(settings)
        announce(settings)
        ground.fresh_metrics_folder(settings.metrics_folder)
        ground.allow_many_files()
        posts = [
            *_posts("http", settings.worker_count, (http,)),
            *_posts("dimse", settings.worker_count, (dimse, *secured)),
            *_posts("hl7", 1 if orders else 0, orders),
            *_posts("jobs", 1),
        ]
        return _run(settings, posts, let_go)


def _posts(door: str, workers: int, listeners: tuple[socket.socket, ...] = ()) -> list[Post]:
    spread = Spread(max(workers, 1))
    return [Post(door, n + 1, listeners, spread.place(n)) for n in range(workers)]


def _listen_for_tls(settings: Settings) -> tuple[Settings, tuple[socket.socket, ...]]:
    """The socket for DIMSE over TLS, if there is to be one. Certificates that cannot be used are refused here:
    workers would only die of them."""
    if not settings.tls.listen:
        return settings, ()
    tls.server(settings.tls)
    asked = Address.parse(settings.tls.listen)
    listener = ground.listen(asked, "tls.listen =")
    bound = ground.bound_address(listener, asked)
    return dataclasses.replace(settings, tls=dataclasses.replace(settings.tls, listen=str(bound))), (
        listener,
    )


def _listen_for_orders(settings: Settings) -> tuple[Settings, tuple[socket.socket, ...]]:
    """The sockets for HL7, plain and over TLS, as far as there are to be any."""
    hl7, listeners = settings.hl7, []
    if hl7.listen:
        asked = Address.parse(hl7.listen)
        listeners.append(ground.listen(asked, "hl7.listen ="))
        hl7 = dataclasses.replace(hl7, listen=str(ground.bound_address(listeners[-1], asked)))
    if hl7.tls_listen:
        tls.server(settings.tls)
        asked = Address.parse(hl7.tls_listen)
        listeners.append(ground.listen(asked, "hl7.tls_listen ="))
        hl7 = dataclasses.replace(hl7, tls_listen=str(ground.bound_address(listeners[-1], asked)))
    return dataclasses.replace(settings, hl7=hl7), tuple(listeners)


def _run(settings: Settings, posts: list[Post], let_go: Callable[[], None]) -> int:
    config.share_metrics(settings)
    # Not before: prometheus-client looks at its first import for where to share numbers.
    from prometheus_client.multiprocess import mark_process_dead

    from archive.supervisor import worker

    forking.share_memory()
    fleet = Fleet(
        posts,
        partial(worker.work, settings),
        drain_seconds=settings.drain_seconds,
        on_ready=lambda: _say(greeting(settings)),
        on_death=lambda pid: mark_process_dead(pid, str(settings.metrics_folder)),  # type: ignore[no-untyped-call]
        on_fork=let_go,
    )
    end = fleet.run()
    if end is not End.DRAINED:
        sys.stderr.write(f"archive: {end.value}; the log is above\n")
    return 0 if end is End.DRAINED else 1


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def greeting(settings: Settings) -> str:
    """What a person sees when the archive is ready: where it is, and what to try first."""
    dimse, public = settings.dimse, settings.http.public_url
    secured = f"\n  over TLS  {settings.tls.listen}" if settings.tls.listen else ""
    orders = f"\n  HL7       {settings.hl7.listen}  over MLLP" if settings.hl7.listen else ""
    orders += f"\n  HL7       {settings.hl7.tls_listen}  over MLLP and TLS" if settings.hl7.tls_listen else ""
    url = f"http://{_reachable(settings.http.listen)}"
    near = _reachable(dimse.listen)
    return f"""\
The archive {version("dicom-archive")} is ready. Ctrl-C ends it.

  HTTP      {url}  (DICOMweb at {url}/dicom-web){f", known as {public}" if public else ""}
  DIMSE     {dimse.listen}  AE title {dimse.ae_title}{secured}{orders}
  Data      {settings.data}

Try first:

  echoscu -aec {dimse.ae_title} {near.host} {near.port}
  storescu -aec {dimse.ae_title} +sd +r {near.host} {near.port} FOLDER
  curl {url}/dicom-web/studies
  archive import FOLDER --data {settings.data}
"""


def _reachable(address: Address) -> Address:
    """An address to connect to, for one that listens on every interface."""
    return {"0.0.0.0": Address("127.0.0.1", address.port), "::": Address("::1", address.port)}.get(
        address.host, address
    )
