"""Write the tables of the conformance statement from the tables of the code: `python -m conformance.generate`.

`statement.md` is written by hand but for what stands between `<!-- table:NAME -->` and `<!-- end -->`. Each NAME is a
row of TABLES below. A test compares, so the statement cannot claim what the code does not do. What a table says of
matching and of statuses is found out by asking the code, not by repeating it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from conformance.statement import exchanges, media, network, search_keys, texts, web
from conformance.statement.table import Table

STATEMENT = Path(__file__).with_name("statement.md")
COMMAND = "python -m conformance.generate"
_MARKED = re.compile(r"(<!-- table:([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


TABLES: Mapping[str, Callable[[], Table]] = {
    "implementation": network.implementation,
    "network-services": network.network_services,
    "storage-sop-classes": network.storage_sop_classes,
    "transfer-syntaxes": network.transfer_syntaxes,
    "query-transfer-syntaxes": network.query_transfer_syntaxes,
    "association-settings": network.association_settings,
    "limits": network.limits,
    "keys": search_keys.keys,
    "search-bounds": search_keys.search_bounds,
    "store-statuses": network.store_statuses,
    "find-statuses": network.find_statuses,
    "retrieve-statuses": network.retrieve_statuses,
    "commitment-statuses": network.commitment_statuses,
    "worklist-statuses": network.worklist_statuses,
    "performed-step-statuses": network.performed_step_statuses,
    "workitem-statuses": network.workitem_statuses,
    "workitem-attributes": network.workitem_attributes,
    "workitem-settings": exchanges.workitem_settings,
    "requested-services": exchanges.requested_services,
    "extended-negotiation": exchanges.extended_negotiation,
    "rights": exchanges.rights,
    "ae-title-rules": exchanges.rules,
    "cipher-suites": exchanges.cipher_suites,
    "tls-settings": exchanges.tls_settings,
    "token-settings": exchanges.token_settings,
    "worklist-settings": exchanges.worklist_settings,
    "order-settings": exchanges.order_settings,
    "patient-events": exchanges.patient_events,
    "resources": web.resources,
    "other-resources": web.other_resources,
    "media-types": web.media_types,
    "request-media-types": web.request_media_types,
    "parameters": web.parameters,
    "answer-character-sets": web.answer_character_sets,
    "http-statuses": web.http_statuses,
    "http-settings": web.http_settings,
    "failure-reasons": web.failure_reasons,
    "character-sets": texts.character_sets,
    "media-forms": media.media_forms,
    "directory-records": media.directory_records,
}


def as_markdown(table: Table) -> str:
    """The table as GitHub renders it, one line a row."""
    header, rows = table
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def filled(statement: str) -> str:
    """`statement` with every marked table made anew. Raises KeyError for a mark that names no table."""
    return _MARKED.sub(lambda mark: mark[1] + as_markdown(TABLES[mark[2]]()) + mark[3], statement)


def marked(statement: str) -> list[str]:
    """The names of the tables in the statement, in order."""
    return [mark[2] for mark in _MARKED.finditer(statement)]


def main() -> None:
    """Fill the statement in place."""
    before = STATEMENT.read_text(encoding="utf-8")
    after = filled(before)
    STATEMENT.write_text(after, encoding="utf-8")
    sys.stdout.write(f"{STATEMENT.name}: {'unchanged' if after == before else 'tables written anew'}\n")


if __name__ == "__main__":
    main()
