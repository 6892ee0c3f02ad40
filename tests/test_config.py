"""Settings: sources, refusals, and `conf/archive.toml` against the code."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import config
from archive.config import KEYS, load
from archive.dicom.errors import ConfigurationError
from archive.settings.values import Address, AETitleSeed, Coercion
from archive.settings.whole import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG_FILE = REPOSITORY / "conf" / "archive.toml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "archive.toml"
    path.write_text(text)
    return path


def test_the_defaults_are_the_names_that_stay() -> None:
    settings = load(environment={})
    assert str(settings.dimse.listen) == "0.0.0.0:11112"
    assert str(settings.http.listen) == "127.0.0.1:8080"
    assert settings.dimse.ae_title == "ARCHIVE"
    assert settings.data == Path("data").absolute()
    assert 1 <= settings.worker_count <= 2


def test_options_override_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'workers = 3\ndrain_seconds = 4\n[dimse]\nae_title = "FILE"\npdu_deadline = 7\n')
    settings = load(
        path, {"ARCHIVE_DIMSE_AE_TITLE": "ENV", "ARCHIVE_WORKERS": "5"}, {"workers": 6, "data": None}
    )
    assert (settings.dimse.ae_title, settings.workers) == ("ENV", 6)
    assert (settings.drain_seconds, settings.dimse.pdu_deadline) == (4, 7)


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "workers = 3")
    assert load(None, {"ARCHIVE_CONFIG": str(path)}).workers == 3


def test_every_kind_of_value_in_the_environment() -> None:
    settings = load(
        environment={
            "ARCHIVE_DATA": "/srv/archive",
            "ARCHIVE_HTTP_LISTEN": "[::]:80",
            "ARCHIVE_HTTP_BEHIND_PROXY": "true",
            "ARCHIVE_HTTP_CORS_ORIGINS": "https://a.example, https://b.example",
            "ARCHIVE_AE_TITLES": "ONE=10.0.0.1:104,TWO=[fe80::1]:11112",
            "HOME": "/root",
        }
    )
    assert settings.data == Path("/srv/archive")
    assert settings.http.listen == Address("::", 80)
    assert settings.http.behind_proxy
    assert settings.http.cors_origins == ("https://a.example", "https://b.example")
    assert settings.ae_titles == (
        AETitleSeed("ONE", Address("10.0.0.1", 104)),
        AETitleSeed("TWO", Address("fe80::1", 11112)),
    )


def test_rules_from_file_and_environment(tmp_path: Path) -> None:
    table = {"transfer_syntax": "RLELossless", "modality": ["CT"], "when": {"StationName": "Größe"}}
    path = written(
        tmp_path,
        "[[compression]]\ntransfer_syntax = 'RLELossless'\nmodality = ['CT']\nwhen = { StationName = 'Größe' }",
    )
    settings = load(path, {})
    assert [json.loads(rule.text) for rule in settings.compression] == [table]
    assert load(None, {"ARCHIVE_COMPRESSION": json.dumps([table])}) == load(path, {})
    assert load(path, {"ARCHIVE_COMPRESSION": ""}).compression == ()
    for wrong in ("RLELossless", '{"transfer_syntax": "none"}', "[1]"):
        with pytest.raises(ConfigurationError, match="ARCHIVE_COMPRESSION"):
            load(None, {"ARCHIVE_COMPRESSION": wrong})


def test_coercion_from_file_and_environment(tmp_path: Path) -> None:
    path = written(tmp_path, "[coercion]\nInstitutionName = 'General'\nStationName = ''")
    settings = load(path, {})
    assert settings.coercion == (Coercion("InstitutionName", "General"), Coercion("StationName", ""))
    environment = {"ARCHIVE_COERCION": "InstitutionName=A = B, StationName=S"}
    assert load(path, environment).coercion == (
        Coercion("InstitutionName", "A = B"),
        Coercion("StationName", "S"),
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[http]\nlisen = 'x'", ["http.lisen", "http.listen"]),
        ("wokers = 1", ["wokers", "workers"]),
        ("[htpp]\nlisten = 'x'", ["key htpp", "known is http"]),
        ("[http]\nlisten = 8080", ["http.listen", "must be text"]),
        ("[http]\nlisten = 'localhost'", ["http.listen", "HOST:PORT"]),
        ("[http]\nlisten = 'localhost:65536'", ["http.listen", "HOST:PORT"]),
        ("workers = '2'", ["workers", "whole number"]),
        ("workers = true", ["workers", "whole number"]),
        ("workers = -1", ["workers", "at least 0"]),
        ("[http]\nbehind_proxy = 1", ["http.behind_proxy", "true or false"]),
        ("[http]\ncors_origins = '*'", ["http.cors_origins", "list"]),
        ("[log]\nlevel = 'loud'", ["log.level", "debug, info"]),
        ("[dimse]\nae_title = 'LONGER THAN SIXTEEN'", ["dimse.ae_title", "16"]),
        ("[dimse]\nae_title = 'BACK\\SLASH'", ["dimse.ae_title", "16"]),
        ("[ae_titles]\nONE = 'nowhere'", ["ae_titles", "HOST:PORT"]),
        ("[coercion]\nInstitution = 'x'", ["coercion", "Institution is no attribute"]),
        ("[coercion]\nStudyInstanceUID = '1.2'", ["coercion", "StudyInstanceUID"]),
        ("[coercion]\nStationName = 5", ["coercion", "must be text"]),
        ("[compression]\nmodality = 'CT'", ["compression", "list of tables"]),
        ("[[compression]]\nmodality = 'CT'", ["compression: rule 1", "transfer_syntax must be text"]),
        (
            "[[compression]]\ntransfer_syntax = 'none'\n[[compression]]\ntransfer_syntax = 'JPEG'",
            ["compression: rule 2", "RLELossless"],
        ),
        ("coercion = 5", ["coercion", "lines Keyword"]),
        ("http = 3", ["http", "section"]),
        ("[http", ["not TOML"]),
    ],
)
def test_a_wrong_setting_is_refused_naming_file_and_key(tmp_path: Path, text: str, named: list[str]) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as refused:
        load(path, {})
    for part in [str(path), *named]:
        assert part in refused.value.reason


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "absent.toml", {})


def test_a_misspelt_variable_is_refused_naming_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"ARCHIVE_HTTP_LISEN.*ARCHIVE_HTTP_LISTEN"):
        load(environment={"ARCHIVE_HTTP_LISEN": "127.0.0.1:1"})


def test_variables_by_which_kubernetes_announces_services_are_no_settings() -> None:
    announced = {
        "ARCHIVE_SERVICE_HOST": "10.1.1.1",
        "ARCHIVE_PORT": "tcp://…",
        "ARCHIVE_PORT_8080_TCP_ADDR": "10.1.1.1",
    }
    assert load(environment=announced) == load(environment={})


def test_http_for_other_machines_needs_a_proxy() -> None:
    """reliability.md H16: nothing listens to others without anybody who asks them who they are."""
    with pytest.raises(ConfigurationError, match=r"http\.listen.*behind_proxy"):
        load(environment={}, overrides={"http.listen": "0.0.0.0:8080"})
    assert load(environment={"ARCHIVE_HTTP_BEHIND_PROXY": "1"}, overrides={"http.listen": "0.0.0.0:8080"})
    for loopback in ("127.0.0.1:1", "[::1]:1", "localhost:1", "127.8.9.1:1"):
        assert load(environment={}, overrides={"http.listen": loopback})


def test_a_public_url_is_a_url() -> None:
    with pytest.raises(ConfigurationError, match=r"http\.public_url"):
        load(environment={"ARCHIVE_HTTP_PUBLIC_URL": "pacs.example"})


@pytest.mark.parametrize(
    "text", ["", ":80", "host", "host:", "a b:80", "::1:80", "[::1]", "user@host:80", "h:100000"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        Address.parse(text)


@given(
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6), st.just("pacs.example")).map(str),
    st.integers(min_value=0, max_value=65535),
)
def test_an_address_survives_being_written_and_read(host: str, port: int) -> None:
    address = Address(host, port)
    assert Address.parse(str(address)) == address


def test_settings_cannot_be_changed() -> None:
    settings = load(environment={})
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.http.listen = Address("x", 1)  # type: ignore[misc]


def test_the_shipped_file_changes_nothing() -> None:
    assert load(CONFIG_FILE, {}) == load(environment={})


def test_the_shipped_file_shows_every_setting_with_its_sentence_and_default(tmp_path: Path) -> None:
    """Uncommented, it is valid, complete, and says what the code says."""
    text = CONFIG_FILE.read_text()
    every_line = re.sub(r"^# (\w+ = |\[\[)", r"\1", text, flags=re.MULTILINE)
    tree = tomllib.loads(every_line)
    seen = []
    for path, key in KEYS.items():
        if path in ("ae_titles", "coercion"):
            assert f"# {key.sentence}\n[{path}]" in text
            continue
        if path in ("coercion_rules", "compression", "retention"):
            assert f"# {key.sentence}\n# [[{path}]]" in text
            seen.append(path)
            continue
        section = tree[key.section] if key.section else tree
        assert section[key.name] == config.value_of(Settings(), key), path
        assert f"# {key.sentence}\n# {key.name} = " in text, path
        seen.append(path)
    shown = [name for name, value in tree.items() if not isinstance(value, dict)]
    shown += [f"{name}.{key}" for name, value in tree.items() if isinstance(value, dict) for key in value]
    assert sorted(shown) == sorted([*seen, "ae_titles.WORKSTATION", "coercion.InstitutionName"])
    load(written(tmp_path, every_line), {})


def test_every_sentence_is_one() -> None:
    for key in KEYS.values():
        assert key.sentence.endswith("."), key.path


def test_every_setting_is_used() -> None:
    sources = [p.read_text() for p in (REPOSITORY / "src" / "archive").rglob("*.py") if p.name != "config.py"]
    unused = [key.path for key in KEYS.values() if not any(re.search(rf"\.{key.name}\b", s) for s in sources)]
    # settings.workers is read as settings.worker_count
    assert unused in ([], ["workers"])
