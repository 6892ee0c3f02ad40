"""The tables of the index. Columns for matching are derived from dicom/attributes, named by keyword.

Each level is a row with a surrogate key, the columns that can be matched, and `attributes`: the DICOM JSON
prepared for answers. A study carries its own copies of the patient's attributes, because an answer shows the
patient as in the study. What only retrieval needs of an instance is in `instance_detail`, so that the rows which
queries walk stay small.

A text column holds the first value (of a name: the folded alphabetic group, in `<Keyword>_search`). Further
values and component groups, which few objects have, are rows of `<level>_term`. What identifies a patient is one
text, even where somebody has put a backslash into it: of two values the first is no ID of its own. Absent is '' or
ABSENT_NUMBER, never NULL: the engines disagree about where NULL sorts.
"""

from __future__ import annotations

import sqlalchemy as sa

from archive.dicom.attributes import ATTRIBUTES, Attribute
from archive.dicom.instance import Level
from archive.index import (  # whose tables are of the same metadata
    audit_schema,  # noqa: F401
    corrections_schema,  # noqa: F401
    follow_up_schema,  # noqa: F401
    people_schema,  # noqa: F401
    rejections_schema,  # noqa: F401
    retention_schema,  # noqa: F401
    shares_schema,  # noqa: F401
    tables,
    verification_schema,  # noqa: F401
    workitems_schema,  # noqa: F401
    worklist_schema,  # noqa: F401
)
from archive.index.tables import KEY, TEXT, identity, index, moment, number, part_of, text

metadata = tables.metadata

ABSENT_NUMBER = 2**40
"""Stands for an IS that is absent or no number: beyond every real one, so it sorts last."""

TIMEZONE = "TimezoneOffsetFromUTC"
"""No key: it says in which zone the dates and times of a study are."""


def column_name(attribute: Attribute) -> str:
    """The column that an attribute is matched in."""
    return f"{attribute.keyword}_search" if attribute.vr == "PN" else attribute.keyword


def identifies_patient(attribute: Attribute) -> bool:
    """Whether all the values are one text, in the column."""
    return attribute.keyword in {"PatientID", "IssuerOfPatientID"}


def has_terms(attribute: Attribute) -> bool:
    """Whether further values are kept as terms; dates, times, numbers and UIDs have one value."""
    return attribute.vr in {"PN", "LO", "SH", "CS"} and not identifies_patient(attribute)


def columns_of(*levels: Level) -> tuple[Attribute, ...]:
    """The attributes of these levels that have a column."""
    return tuple(
        attribute
        for attribute in ATTRIBUTES
        if attribute.level in levels
        and (attribute.matched or attribute.keyword == TIMEZONE)
        and not attribute.computed
        and attribute.vr != "SQ"
    )


PATIENT_COLUMNS = columns_of(Level.PATIENT)
STUDY_COLUMNS = columns_of(Level.PATIENT, Level.STUDY)
SERIES_COLUMNS = columns_of(Level.SERIES)
INSTANCE_COLUMNS = columns_of(Level.IMAGE)


def _columns(attributes: tuple[Attribute, ...]) -> list[sa.Column[object]]:
    return [
        sa.Column(column_name(attribute), sa.BigInteger() if attribute.vr == "IS" else TEXT, nullable=False)
        for attribute in attributes
    ]


def _term_table(level: str) -> sa.Table:
    table = sa.Table(
        f"{level}_term",
        metadata,
        part_of(level, primary_key=True),
        sa.Column("tag", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("value_number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("component_group", sa.Integer(), primary_key=True, autoincrement=False),
        text("text"),
    )
    sa.Index(f"{level}_term_text", table.c.tag, table.c.text)
    return table


def _word_table(level: str) -> sa.Table:
    """Words of names, for fuzzy matching; those that are not several joined also from their last letter to the
    first."""
    table = sa.Table(
        f"{level}_word",
        metadata,
        sa.Column(
            f"{level}_id",
            KEY,
            sa.ForeignKey(f"{level}.id", ondelete="CASCADE"),
            nullable=False,
            primary_key=True,
        ),
        sa.Column("tag", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("value_number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("component_group", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("word", TEXT, primary_key=True),
        sa.Column("joined", sa.Integer(), nullable=False),
        text("reversed"),
    )
    index(table, "tag", "word", "joined")
    index(table, "tag", "reversed")
    return table


patient = sa.Table(
    "patient",
    metadata,
    identity(),
    # Of PatientID and IssuerOfPatientID; without a PatientID, of the study: that is then its own patient.
    sa.Column("identity", TEXT, nullable=False, unique=True),
    *_columns(PATIENT_COLUMNS),
    text("attributes"),
)

study = sa.Table(
    "study",
    metadata,
    identity(),
    part_of("patient"),
    *_columns(STUDY_COLUMNS),
    number("number_of_series"),
    number("number_of_instances"),
    text("attributes"),
    # Of its series, each between backslashes. Triggers keep it on SQLite; on PostgreSQL it is empty.
    sa.Column("modalities", TEXT, nullable=False, server_default=""),
    sa.UniqueConstraint("StudyInstanceUID"),
)

series = sa.Table(
    "series",
    metadata,
    identity(),
    part_of("study"),
    *_columns(SERIES_COLUMNS),
    number("number_of_instances"),
    text("attributes"),
    sa.UniqueConstraint("SeriesInstanceUID"),
)

instance = sa.Table(
    "instance",
    metadata,
    identity(),
    part_of("series"),
    *_columns(INSTANCE_COLUMNS),
    text("transfer_syntax_uid"),
    text("blob_key"),
    number("data_set_offset"),
    number("data_set_length"),
    text("sha256"),
    # Of the data set as it was received; each is empty unless it is another.
    text("received_sha256"),
    text("received_transfer_syntax_uid"),
    moment("stored_at"),
    text("attributes"),
    sa.UniqueConstraint("SOPInstanceUID"),
)

instance_detail = sa.Table(
    "instance_detail",
    metadata,
    part_of("instance", primary_key=True),
    sa.Column("metadata", sa.LargeBinary(), nullable=False),
    sa.Column("frames", sa.LargeBinary(), nullable=False),
    sa.Column("bulk_values", sa.LargeBinary(), nullable=False),
    text("door"),
    text("address"),
    text("calling_ae_title"),
    text("called_ae_title"),
)

patient_term = _term_table("patient")
study_term = _term_table("study")
series_term = _term_table("series")

study_word = _word_table("study")
series_word = _word_table("series")

study_text = sa.Table(
    "study_text",
    metadata,
    # Each text that stands in a column of WITH_ORDER, and in how many studies: what a pattern matches is looked for
    # here. Triggers keep it on SQLite; on PostgreSQL it is empty, as those who store would wait for each other.
    sa.Column("tag", sa.BigInteger(), primary_key=True, autoincrement=False),
    sa.Column("text", TEXT, primary_key=True),
    number("number"),
    sqlite_with_rowid=False,
)

request = sa.Table(
    "request",
    metadata,
    # One item of RequestAttributesSequence; a sequence matches when all its keys match in one item.
    part_of("series", primary_key=True),
    sa.Column("item_number", sa.Integer(), primary_key=True, autoincrement=False),
    text("ScheduledProcedureStepID"),
    text("RequestedProcedureID"),
)

conflict = sa.Table(
    "conflict",
    metadata,
    identity(),
    text("SOPInstanceUID"),
    text("SeriesInstanceUID"),
    text("StudyInstanceUID"),
    text("SOPClassUID"),
    # Of the data set as it was received: by it the same object is recognised when it comes again.
    text("sha256"),
    text("reason"),
    text("door"),
    text("address"),
    text("calling_ae_title"),
    text("called_ae_title"),
    number("times"),
    moment("first_at"),
    moment("last_at"),
    # One of conflicts.State. The bytes that are kept aside, if any: else the key is empty.
    text("state"),
    text("transfer_syntax_uid"),
    text("blob_key"),
    number("data_set_offset"),
    number("data_set_length"),
    text("kept_sha256"),
    # In which the bytes were received that `sha256` is of; empty where none are kept.
    text("received_transfer_syntax_uid"),
    # 0 until somebody, or a policy, has decided.
    moment("settled_at"),
    text("settled_by"),
    sa.UniqueConstraint("SOPInstanceUID", "sha256", "reason"),
)

ae_title = sa.Table(
    "ae_title",
    metadata,
    sa.Column("title", TEXT, primary_key=True),
    text("host"),
    sa.Column("port", sa.Integer(), nullable=False),
    # `security.rules` as JSON: nothing in it is ever searched for.
    text("rules"),
    moment("added_at"),
    # 0 for a known title. One that was removed stays, so that the settings do not bring it back.
    moment("removed_at"),
)

refusal = sa.Table(
    "refusal",
    metadata,
    identity(),
    text("calling"),
    text("called"),
    text("address"),
    text("reason"),
    # What would let the caller in.
    text("remedy"),
    number("times"),
    moment("first_at"),
    moment("last_at"),
    sa.UniqueConstraint("calling", "called", "address", "reason"),
)

refused_object = sa.Table(
    "refused_object",
    metadata,
    identity(),
    text("door"),
    text("calling"),
    text("address"),
    text("SOPClassUID"),
    text("transfer_syntax_uid"),
    text("status"),
    text("reason"),
    text("remedy"),
    # Of the last one.
    text("SOPInstanceUID"),
    number("times"),
    moment("first_at"),
    moment("last_at"),
    sa.UniqueConstraint(
        "door", "calling", "address", "SOPClassUID", "transfer_syntax_uid", "status", "reason"
    ),
)

outbox = sa.Table(
    "outbox",
    metadata,
    identity(),
    text("event"),
    text("payload"),
    sa.Column("attempts", sa.Integer(), nullable=False),
    # Not before this moment: the end of a claim's lease, or of the wait before another attempt.
    moment("due_at"),
    sa.Column("given_up", sa.Boolean(), nullable=False),
    text("reason"),
    moment("put_at"),
)

deletion = sa.Table(
    "deletion",
    metadata,
    # What was deleted and is not stored again: an instance; what else it was part of follows from the other two.
    sa.Column("SOPInstanceUID", TEXT, primary_key=True),
    text("SeriesInstanceUID"),
    text("StudyInstanceUID"),
    moment("deleted_at"),
)

retired_key = sa.Table(
    "retired_key",
    metadata,
    # The highest key of a level that was deleted. SQLite would give it out again, to who is just reading by keys.
    sa.Column("level", TEXT, primary_key=True),
    number("highest"),
)
HIERARCHY = (patient, study, series, instance)

study_order = sa.Index(
    "study_order", study.c.StudyDate.desc(), study.c.StudyTime.desc(), study.c.id, study.c.modalities
)
for _column in ("PatientID", "PatientName_search"):
    index(patient, _column)
for _column in (
    "patient_id",
    "PatientID",
    "PatientBirthDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    TIMEZONE,
):
    index(study, _column)
WITH_ORDER = ("PatientName_search", "ReferringPhysicianName_search", "StudyDescription")
"""Columns of a study of which many have the same value: their indexes hold what the answers are sorted by as well."""
for _column in WITH_ORDER:
    sa.Index(f"study_{_column}_order", study.c[_column], study.c.StudyDate.desc(), study.c.StudyTime.desc())
sa.Index("series_order", series.c.study_id, series.c.SeriesNumber, series.c.id)
index(series, "Modality", "study_id")
index(series, "PerformedProcedureStepStartDate")
index(series, "PerformedProcedureStepStartTime")
sa.Index("instance_order", instance.c.series_id, instance.c.InstanceNumber, instance.c.id)
index(instance, "SOPClassUID", "series_id")
index(request, "ScheduledProcedureStepID")
index(request, "RequestedProcedureID")
sa.Index("outbox_due", outbox.c.given_up, outbox.c.due_at)
index(conflict, "state", "last_at")
index(conflict, "StudyInstanceUID")
sa.Index("refusal_last_at", refusal.c.last_at)
index(refused_object, "last_at")
index(deletion, "StudyInstanceUID")
index(deletion, "SeriesInstanceUID")
