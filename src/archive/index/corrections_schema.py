"""The tables of corrections: what was asked for, what follows from it for what is stored and for what still comes."""

from __future__ import annotations

import sqlalchemy as sa

from archive.index.tables import TEXT, identity, index, metadata, moment, number, part_of, text

correction = sa.Table(
    "correction",
    metadata,
    identity(),
    text("kind"),
    # Whose patient, or which study, is corrected; and to whom that belongs afterwards.
    text("PatientID"),
    text("IssuerOfPatientID"),
    text("StudyInstanceUID"),
    text("to_PatientID"),
    text("to_IssuerOfPatientID"),
    # The number of the correction that this one takes back; 0 for none.
    number("undoes"),
    # Keyword and value of what is set, as JSON.
    text("attributes"),
    text("made_by"),
    text("reason"),
    moment("made_at"),
    text("state"),
    # Whether the studies concerned were looked up: before, nothing of what is stored was touched.
    sa.Column("begun", sa.Boolean(), nullable=False),
    moment("done_at"),
    # Why the last study could not be corrected.
    text("failure"),
)

correction_rule = sa.Table(
    "correction_rule",
    metadata,
    # What comes later and still says what was corrected is corrected on its way in. Of all rules of a patient or of a
    # study the corrections are carried out in their order.
    part_of("correction", primary_key=True),
    sa.Column("scope", TEXT, primary_key=True),
    # 0: the whole identity of the patient.
    sa.Column("tag", sa.BigInteger(), primary_key=True, autoincrement=False),
    sa.Column("former", TEXT, primary_key=True),
)

corrected_study = sa.Table(
    "corrected_study",
    metadata,
    part_of("correction", primary_key=True),
    sa.Column("StudyInstanceUID", TEXT, primary_key=True),
    text("state"),
    text("reason"),
)

rewritten = sa.Table(
    "rewritten",
    metadata,
    # An object that was written anew, until its study is changed over: then all its objects are at once.
    part_of("correction", primary_key=True),
    sa.Column("SOPInstanceUID", TEXT, primary_key=True),
    text("SeriesInstanceUID"),
    text("StudyInstanceUID"),
    # Of the bytes that it was made from; it is of no use when others are stored by then.
    text("former_key"),
    # Empty where there was nothing to change.
    text("blob_key"),
    number("data_set_offset"),
    number("data_set_length"),
    text("sha256"),
    sa.Column("metadata", sa.LargeBinary(), nullable=False),
    sa.Column("frames", sa.LargeBinary(), nullable=False),
    sa.Column("bulk_values", sa.LargeBinary(), nullable=False),
    # What it said before, and what the index is to know of it now.
    text("before"),
    text("after"),
)

corrected_object = sa.Table(
    "corrected_object",
    metadata,
    # What an object said before, and where its former bytes are as long as they are kept: else the key is empty.
    part_of("correction", primary_key=True),
    sa.Column("SOPInstanceUID", TEXT, primary_key=True),
    text("SeriesInstanceUID"),
    text("StudyInstanceUID"),
    text("before"),
    text("blob_key"),
    number("data_set_offset"),
    number("data_set_length"),
    text("sha256"),
    text("transfer_syntax_uid"),
    moment("corrected_at"),
)

index(correction, "state")
index(correction, "PatientID")
index(correction, "to_PatientID")
index(correction_rule, "scope")
index(corrected_study, "StudyInstanceUID")
index(rewritten, "StudyInstanceUID")
index(corrected_object, "StudyInstanceUID")
index(corrected_object, "SOPInstanceUID")
