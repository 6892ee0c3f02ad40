"""What pages of thousands of matches are found by without a look at each study or series.

Indexes of texts that many studies share hold what the answers are sorted by as well. On SQLite there is a list of these
texts, and each study says which modalities its series have, which stands in the index that all are walked by; triggers
keep both. On PostgreSQL those who store would wait for each other.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TAGS = {
    "PatientName_search": 0x00100010,
    "ReferringPhysicianName_search": 0x00080090,
    "StudyDescription": 0x00081030,
}
_ADD = """
    INSERT INTO study_text (tag, text, number) VALUES ({tag}, NEW."{column}", 1)
    ON CONFLICT (tag, text) DO UPDATE SET number = number + 1;"""
_REMOVE = """
    UPDATE study_text SET number = number - 1 WHERE tag = {tag} AND text = OLD."{column}";
    DELETE FROM study_text WHERE tag = {tag} AND text = OLD."{column}" AND number = 0;"""
_OF_TEXTS = (
    f'CREATE TRIGGER "study_{{column}}_added" AFTER INSERT ON study BEGIN {_ADD} END',
    f'CREATE TRIGGER "study_{{column}}_removed" AFTER DELETE ON study BEGIN {_REMOVE} END',
    f"""CREATE TRIGGER "study_{{column}}_changed" AFTER UPDATE OF "{{column}}" ON study
    WHEN NEW."{{column}}" <> OLD."{{column}}" BEGIN {_REMOVE} {_ADD} END""",
)
_NOTE_ALL = r"""
    UPDATE study SET modalities = (
        SELECT coalesce('\' || group_concat(code, '\') || '\', '') FROM (
            SELECT DISTINCT "Modality" AS code FROM series WHERE study_id = study.id AND "Modality" <> ''
        )
    )"""
_NOTE_ONE = r"""
    UPDATE study SET modalities = iif(modalities = '', '\', modalities) || NEW."Modality" || '\'
    WHERE id = NEW.study_id AND instr(modalities, '\' || NEW."Modality" || '\') = 0"""
_OF_MODALITIES = (
    f"""CREATE TRIGGER "series_Modality_added" AFTER INSERT ON series
    WHEN NEW."Modality" <> '' BEGIN {_NOTE_ONE}; END""",
    f"""CREATE TRIGGER "series_Modality_removed" AFTER DELETE ON series
    BEGIN {_NOTE_ALL} WHERE id = OLD.study_id; END""",
    f"""CREATE TRIGGER "series_Modality_changed" AFTER UPDATE OF study_id, "Modality" ON series
    BEGIN {_NOTE_ALL} WHERE id IN (OLD.study_id, NEW.study_id); END""",
)


def upgrade() -> None:
    """Make them, and drop the indexes that they replace."""
    order = [sa.text('"StudyDate" DESC'), sa.text('"StudyTime" DESC')]
    for column in _TAGS:
        op.drop_index(f"study_{column}", "study")
        op.create_index(f"study_{column}_order", "study", [column, *order])
    op.create_table(
        "study_text",
        sa.Column("tag", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("text", _TEXT, primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.drop_index("study_order", "study")
    op.add_column("study", sa.Column("modalities", _TEXT, nullable=False, server_default=""))
    if op.get_bind().dialect.name == "sqlite":
        _keep_by_triggers()
    op.create_index("study_order", "study", [*order, "id", "modalities"])


def _keep_by_triggers() -> None:
    for column, tag in _TAGS.items():
        op.execute(
            f'INSERT INTO study_text SELECT {tag}, "{column}", count(*) FROM study GROUP BY "{column}"'
        )
        for trigger in _OF_TEXTS:
            op.execute(trigger.format(tag=tag, column=column))
    op.execute(_NOTE_ALL)
    for trigger in _OF_MODALITIES:
        op.execute(trigger)
