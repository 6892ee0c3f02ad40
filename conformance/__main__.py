"""The command, `python -m conformance --dicomweb URL`: 0 when nothing failed, 1 otherwise, 2 when nobody answers."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from conformance import registry, report, runner
from conformance.client import Client
from conformance.verdicts import Failed, Outcome, Result, Unreachable
from conformance.world import DimsePeer, World


def parser() -> argparse.ArgumentParser:
    """The options."""
    out = argparse.ArgumentParser("conformance", description="Ask a DICOMweb server what PS3.18 asks of it.")
    out.add_argument(
        "--dicomweb", metavar="URL", help="base URI of the server, such as http://localhost:8042/dicom-web"
    )
    out.add_argument("--name", default="server", help="what to call the server in reports")
    out.add_argument(
        "--against",
        metavar="NAME=URL[,HOST:PORT:AET]",
        action="append",
        type=other_server,
        default=[],
        help="another server, to stand beside the first in reports",
    )
    out.add_argument(
        "--wado-uri", metavar="URL", default="", help="base URI of the URI service; else /wado is tried"
    )
    _add_dimse(out)
    out.add_argument("--token", default="", help="a bearer token, sent to --dicomweb alone")
    out.add_argument("--insecure", action="store_true", help="do not verify the server's certificate")
    out.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="for one whole exchange")
    out.add_argument(
        "--strict", action="store_true", help="ask for the letter where lenient answers are usual"
    )
    out.add_argument(
        "--only",
        metavar="ID",
        action="append",
        default=[],
        help="a check, requirement or service; again for more",
    )
    out.add_argument("--list", action="store_true", help="show the checks and end")
    out.add_argument("--quiet", action="store_true", help="show what failed, and the counts")
    for kind in ("junit", "json", "markdown"):
        out.add_argument(f"--{kind}", metavar="FILE", type=Path, help=f"write the results as {kind}")
    return out


def _add_dimse(out: argparse.ArgumentParser) -> None:
    out.add_argument("--dimse", metavar="HOST:PORT:AET", type=dimse_peer, help="the server's DIMSE side")
    out.add_argument(
        "--move-to",
        metavar="AET:PORT",
        type=move_destination,
        default=("", 0),
        help="an AE title that the server knows as this machine at PORT; the suite receives there",
    )
    out.add_argument("--calling-aet", default="CONFORMANCE", help="the AE title to come with")


def dimse_peer(text: str) -> DimsePeer:
    """Read HOST:PORT:AET."""
    rest, _, title = text.rpartition(":")
    host, _, port = rest.rpartition(":")
    if not (host and title and port.isdigit() and int(port) < 65536):
        raise argparse.ArgumentTypeError("must be HOST:PORT:AET")
    return DimsePeer(host.strip("[]"), int(port), title)


def move_destination(text: str) -> tuple[str, int]:
    """Read AET:PORT."""
    title, _, port = text.rpartition(":")
    if not (title and port.isdigit() and 0 < int(port) < 65536):
        raise argparse.ArgumentTypeError("must be AET:PORT")
    return title, int(port)


@dataclass(frozen=True)
class Server:
    """A server to ask."""

    name: str
    url: str
    peer: DimsePeer | None = None
    token: str = ""
    wado_uri: str = ""


def other_server(text: str) -> Server:
    """Read NAME=URL or NAME=URL,HOST:PORT:AET."""
    name, _, rest = text.partition("=")
    url, _, peer = rest.partition(",")
    if not (name and url):
        raise argparse.ArgumentTypeError("must be NAME=URL or NAME=URL,HOST:PORT:AET")
    return Server(name, url, dimse_peer(peer) if peer else None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; the exit status."""
    warnings.simplefilter("ignore")
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    options = parser().parse_args(arguments)
    checks = registry.chosen(options.only)
    if options.list:
        _say("\n".join(_described(one) for one in checks))
        return 0
    if not options.dicomweb or not checks:
        parser().error("--dicomweb is needed" if checks else "no check has that id")
    first = Server(options.name, options.dicomweb, options.dimse, options.token, options.wado_uri)
    try:
        runs = [_run(options, server, checks) for server in (first, *options.against)]
    except (Unreachable, Failed) as problem:
        _say(f"no DICOMweb server answers: {problem}")
        return 2
    _write(options, runs)
    return int(runs[0].count(Outcome.FAIL) + runs[0].count(Outcome.ERROR) > 0)


def _run(options: argparse.Namespace, server: Server, checks: Sequence[registry.Check]) -> runner.Run:
    title, port = options.move_to
    ours = {"calling": options.calling_aet, "destination": title, "destination_port": port}
    peer = replace(server.peer, **ours) if server.peer else None
    client = Client(server.url, server.token, options.timeout, not options.insecure)
    world = World(client, runner.new_run_id(), options.strict, peer, server.wado_uri)
    try:
        done = runner.run(server.name, world, checks, lambda result: _show(result, options.quiet))
    finally:
        client.close()
    _say(report.summary(done))
    return done


def _show(result: Result, quiet: bool) -> None:
    if not quiet or result.outcome in (Outcome.FAIL, Outcome.ERROR):
        _say(report.line(result))


def _described(one: registry.Check) -> str:
    note = f"\n        {one.note}" if one.note else ""
    return (
        f"{one.id:7} {one.title}  [{one.clause}; {one.level.value}{'; strict' if one.strict else ''}]{note}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text.encode("utf-8", "replace").decode() + "\n")
    sys.stdout.flush()


def _write(options: argparse.Namespace, runs: list[runner.Run]) -> None:
    writers = {"junit": report.as_junit, "json": report.as_json, "markdown": report.as_markdown}
    for kind, writer in writers.items():
        path: Path | None = getattr(options, kind)
        if path is not None:
            before = path.read_text(encoding="utf-8") if path.exists() else ""
            path.write_text(report.filled(before, writer(runs)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
