"""The suite, whole, against the archive as users start it: nothing fails, lenient or strict."""

from __future__ import annotations

from contextlib import closing

import pytest

from archive_process import StartArchive, archive
from conformance import registry, report, runner
from conformance.client import Client
from conformance.verdicts import Outcome
from conformance.world import DimsePeer, World
from ports import free_port

SHOULD_SKIP = 20
"""At most so many: a server that claims nothing would pass as well."""


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
def test_the_archive_conforms(start_archive: StartArchive, strict: bool) -> None:
    environment = {
        "ARCHIVE_HTTP_STRICT": str(strict).lower(),
        "ARCHIVE_HTTP_CORS_ORIGINS": "*",
        "ARCHIVE_DIMSE_COMMITMENT_WAIT": "1",
    }
    server = start_archive("--workers", "1", environment=environment)
    port = free_port()
    added = archive("ae", "add", "SUITE", "127.0.0.1", str(port), "--data", str(server.data))
    assert added.code == 0, added.stderr
    peer = DimsePeer(
        "127.0.0.1", server.dimse_port, server.ae_title, destination="SUITE", destination_port=port
    )
    with closing(Client(server.dicomweb_url, seconds=60)) as client:
        world = World(client, runner.new_run_id(), strict, peer)
        done = runner.run("archive", world, registry.all_checks(), lambda result: None)
    wrong = [one for one in done.results if one.outcome in (Outcome.FAIL, Outcome.ERROR)]
    assert not wrong, "\n".join(report.line(one) for one in wrong)
    assert not done.notes
    assert done.count(Outcome.SKIP) <= SHOULD_SKIP
