"""The whole of `archive serve`, in the order in which it must happen.

Folder and lock, sockets, index, workers: each step can refuse with a ConfigurationError before the next has
done anything. The sockets are bound before the index is touched, so a port in use costs nothing.

On a disk that takes nothing (full, or mounted read-only) workers are started that only read; when it can be written
again they end, and then the index is opened as ever.
"""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path

import structlog

from archive.bootstrap.preparing import announce, check_readable, folders, prepare, record_activity
from archive.dicom.errors import ConfigurationError
from archive.dicom.pixels import codecs
from archive.network.spreading import Spread
from archive.security import tls
from archive.settings.values import Address
from archive.settings.whole import Settings
from archive.supervisor import forking, ground, logs, room
from archive.supervisor.fleet import End, Fleet, Post

Doors = Mapping[str, tuple[socket.socket, ...]]
"""The listening sockets of each."""

RECORDING_SECONDS = 5.0
"""So long the end of the archive waits until it is in the audit trail."""

log = structlog.get_logger()


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
        ground.allow_many_files()
        doors = {"http": (http,), "dimse": (dimse, *secured), "hl7": orders}
        end = _read_only(settings, doors, let_go)
        if end is End.OVER:
            prepare(settings)
            announce(settings)
            posts = [*_posts(settings, doors), Post("jobs", 1)]
            with room.metrics_folder(settings.metrics_folder) as metrics:
                end = _run(settings, posts, let_go, metrics)
            _record_end(settings)
        if end is not End.DRAINED:
            sys.stderr.write(f"archive: {end.value}; the log is above\n")
        return 0 if end is End.DRAINED else 1


def _record_end(settings: Settings) -> None:
    """In a process of its own: a disk that hangs keeps whoever writes to it, and we are to end."""
    recording = forking.forked("end", partial(record_activity, settings, started=False))
    recording.join(RECORDING_SECONDS)
    if recording.exitcode is None:
        log.warning("the end is not in the audit trail: its disk or server gives no answer")
        forking.let_be(recording)


def _read_only(settings: Settings, doors: Doors, let_go: Callable[[], None]) -> End:
    """As long as the disk takes nothing: serve what is there to readers. Nobody else has the index open when it is
    over.

    Raises ConfigurationError, OutOfResources when there is nothing to be read."""
    reason = room.why_not(folders(settings))
    if not reason:
        return End.OVER
    log.error("read-only", reason=reason)
    check_readable(settings)
    metrics = room.memory_folder()

    def close() -> None:
        let_go()
        for listener in itertools.chain(*doors.values()):
            listener.close()

    try:
        copied = {door: tuple(each.dup() for each in listeners) for door, listeners in doors.items()}
        end = _run(settings, _posts(settings, copied), close, metrics, reason)
    finally:
        shutil.rmtree(metrics, ignore_errors=True)
    if end is End.OVER:
        log.info("the disk can be written again")
    return end


def _posts(settings: Settings, doors: Doors) -> list[Post]:
    """The workers of the doors that are open."""
    posts = []
    for door, listeners in doors.items():
        workers = settings.worker_count if door != "hl7" else 1 if listeners else 0
        spread = Spread(max(workers, 1))
        posts += [Post(door, n + 1, listeners, spread.place(n)) for n in range(workers)]
    return posts


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


def _run(
    settings: Settings, posts: list[Post], let_go: Callable[[], None], metrics: Path, reason: str = ""
) -> End:
    """The workers, until they have ended. `reason`: why the archive is read only; then until that has passed."""
    room.share_metrics(metrics)
    # Not before: prometheus-client looks at its first import for where to share numbers.
    from prometheus_client.multiprocess import mark_process_dead

    from archive.supervisor import worker

    codecs.load()
    forking.share_memory()
    return Fleet(
        posts,
        partial(worker.work, settings, metrics, bool(reason)),
        drain_seconds=settings.drain_seconds,
        on_ready=lambda: _say(greeting(settings, reason)),
        on_death=lambda pid: mark_process_dead(pid, str(metrics)),  # type: ignore[no-untyped-call]
        on_fork=let_go,
        is_over=partial(_is_writable, settings) if reason else None,
    ).run()


def _is_writable(settings: Settings) -> bool:
    try:
        return not room.why_not(folders(settings))
    except ConfigurationError:
        return False


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def greeting(settings: Settings, reason: str = "") -> str:
    """What a person sees when the archive is ready: where it is, and what to try first."""
    dimse, public = settings.dimse, settings.http.public_url
    secured = f"\n  over TLS  {settings.tls.listen}" if settings.tls.listen else ""
    orders = f"\n  HL7       {settings.hl7.listen}  over MLLP" if settings.hl7.listen else ""
    orders += f"\n  HL7       {settings.hl7.tls_listen}  over MLLP and TLS" if settings.hl7.tls_listen else ""
    url = f"http://{_reachable(settings.http.listen)}"
    limit = f"\nREAD-ONLY, as its disk takes nothing: {reason}. As soon as it does, objects are taken.\n"
    near = _reachable(dimse.listen)
    return f"""\
The archive {version("dicom-archive")} is ready. Ctrl-C ends it.
{limit if reason else ""}
  HTTP      {url}  (DICOMweb at {url}/dicom-web){f", known as {public}" if public else ""}
  DIMSE     {dimse.listen}  AE title {dimse.ae_title}{secured}{orders}
  Viewer    {url}/viewer
  Data      {settings.data}

Try first:

  echoscu -aec {dimse.ae_title} {near.host} {near.port}
  storescu -aec {dimse.ae_title} +sd +r {near.host} {near.port} FOLDER
  curl {url}/dicom-web/studies
  archive import FOLDER --data {settings.data}
  archive demo --data {settings.data}
"""


def _reachable(address: Address) -> Address:
    """An address to connect to, for one that listens on every interface."""
    return {"0.0.0.0": Address("127.0.0.1", address.port), "::": Address("::1", address.port)}.get(
        address.host, address
    )
