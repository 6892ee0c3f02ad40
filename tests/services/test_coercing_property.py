"""Coercion by rules against a plain reading of them, for generated rules and values (dimse.md 1.2)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from archive.bootstrap import building
from archive.config import load
from coerced_by_rules import SYNTAXES, Rule, kept, store
from objects import mr
from suites.sqlite import prepare

PICTURE = np.frombuffer(mr().PixelData, "<u2").reshape(128, 128)
TEXT = st.text(st.sampled_from("abXY019 -^="), max_size=12).map(str.strip)
ACTIONS = st.fixed_dictionaries(
    {},
    optional={
        "set": st.fixed_dictionaries({}, optional={"InstitutionName": TEXT}),
        "default": st.fixed_dictionaries({}, optional={"StationName": TEXT}),
        "prefix": st.fixed_dictionaries({}, optional={"StudyDescription": TEXT.filter(bool)}),
        "suffix": st.fixed_dictionaries({}, optional={"StudyDescription": TEXT.filter(bool)}),
        "copy": st.fixed_dictionaries(
            {}, optional={"PatientComments": st.sampled_from(["StudyDescription", "StationName"])}
        ),
        "map": st.fixed_dictionaries({}, optional={"StationName": st.dictionaries(TEXT, TEXT, max_size=3)}),
        "replace": st.fixed_dictionaries(
            {}, optional={"StudyDescription": st.tuples(st.sampled_from("abXY"), TEXT).map(list)}
        ),
    },
).filter(lambda actions: any(actions.values()))


def plainly(values: dict[str, str], rule: Rule) -> None:
    """A rule as one would explain it, on single values."""
    for keyword, source in rule.get("copy", {}).items():
        values[keyword] = values.get(source, "") or values.get(keyword, "")
    values |= rule.get("set", {})
    for keyword, table in rule.get("map", {}).items():
        values[keyword] = table.get(values.get(keyword, ""), values.get(keyword, ""))
    for keyword, (old, new) in rule.get("replace", {}).items():
        values[keyword] = values.get(keyword, "").replace(old, new)
    for keyword, text in rule.get("prefix", {}).items():
        now = values.get(keyword, "")
        values[keyword] = now if not now or now.startswith(text) else text + now
    for keyword, text in rule.get("suffix", {}).items():
        now = values.get(keyword, "")
        values[keyword] = now if not now or now.endswith(text) else now + text
    for keyword, text in rule.get("default", {}).items():
        values[keyword] = values.get(keyword, "") or text


@settings(
    max_examples=30,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rules=st.lists(ACTIONS, min_size=1, max_size=3),
    station=TEXT,
    description=TEXT,
    syntax=st.sampled_from(SYNTAXES),
)
def test_rules_do_what_they_say(
    tmp_path_factory: pytest.TempPathFactory, rules: list[Rule], station: str, description: str, syntax: str
) -> None:
    overrides = {"data": str(tmp_path_factory.mktemp("d")), "coercion_rules": rules}
    built = load(environment={}, overrides=overrides)
    prepare(built)
    archive = building.build(built)
    try:
        data_set = mr(StationName=station, StudyDescription=description, InstitutionName="I")
        store(archive, data_set, syntax)
        found = kept(archive, data_set)
        values = {"StationName": station, "StudyDescription": description, "InstitutionName": "I"}
        for rule in rules:
            plainly(values, rule)
        lengths = {
            "StationName": 16,
            "StudyDescription": 64,
            "InstitutionName": 64,
            "PatientComments": 10_240,
        }
        for keyword, value in values.items():
            if len(value) <= lengths[keyword]:
                assert str(found.get(keyword) or "").strip() == value.strip(), keyword
        assert np.array_equal(found.pixel_array, PICTURE)
        assert store(archive, data_set, syntax).already_there
    finally:
        archive.close()
