"""The tables of the audit trail: its records, where its chain has come to, and what is being received."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import KEY, TEXT, index, metadata, moment, number, text

audit_record = sa.Table(
    "audit_record",
    metadata,
    # Its place in the chain: 1, 2, 3, without a gap.
    sa.Column("id", KEY, primary_key=True, autoincrement=False),
    # SHA-256 of the hash before it and of `message`, which is all that is said of the event. The other columns repeat
    # it to be searched by.
    text("hash"),
    text("message"),
    moment("recorded_at"),
    text("event"),
    text("actor"),
    text("address"),
    text("PatientID"),
    text("StudyInstanceUID"),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    # One row: the last record, and how far others were told (by syslog). Whoever adds to the chain holds it.
    sa.Column("what", TEXT, primary_key=True),
    number("position"),
    text("hash"),
)

receiving = sa.Table(
    "receiving",
    metadata,
    # A study of which an association, or a request, has brought instances, and no record tells of it yet. It comes with
    # the first instance, in the same transaction, and goes with the record.
    sa.Column("transfer", TEXT, primary_key=True),
    sa.Column("StudyInstanceUID", TEXT, primary_key=True),
    text("actor"),
    text("door"),
    text("address"),
    text("calling_ae_title"),
    moment("begun_at"),
    # Whoever receives says so now and then. It is dead when it does not.
    moment("seen_at"),
)

index(audit_record, "recorded_at")
index(audit_record, "PatientID", "id")
index(audit_record, "StudyInstanceUID", "id")
index(audit_record, "actor", "id")
