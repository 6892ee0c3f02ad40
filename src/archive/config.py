"""How settings are read: from file, environment and options, of which the later win.

What settings there are, `settings` says. The environment has each by its path (`ARCHIVE_HTTP_LISTEN` is `http.listen`).
What changes while the archive runs (AE titles, routing, users) lives in the database; `[ae_titles]` only
seeds it. Nobody but this module looks at the environment.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from archive.dicom.errors import ArchiveError, ConfigurationError
from archive.dicom.identifiers import check_uid
from archive.dicom.rules.coercions import coercion_rule
from archive.dicom.rules.compressions import compression_rule
from archive.dicom.rules.retention import retention_rule
from archive.dicom.worklist.entries import check_state
from archive.dicom.writing.coercion import coerced
from archive.settings.people import check_openid
from archive.settings.values import (
    Address,
    AETitleSeed,
    Coercion,
    CoercionRule,
    CompressionRule,
    RetentionRule,
)
from archive.settings.whole import Settings

PREFIX = "ARCHIVE_"
CONFIG_VARIABLE = "ARCHIVE_CONFIG"

# Kubernetes announces a service called "archive" to every container by variables of these forms.
_FOREIGN_VARIABLE = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)$")


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the table of settings: section ("" at the top), name, type, default and sentence."""

    section: str
    name: str
    kind: Any
    default: Any
    sentence: str
    minimum: int | None
    choices: tuple[str, ...]

    @property
    def path(self) -> str:
        """`http.listen`."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def variable(self) -> str:
        """`ARCHIVE_HTTP_LISTEN`."""
        return PREFIX + self.path.replace(".", "_").upper()


def _keys(section_type: Any, section: str = "") -> Iterable[Key]:
    hints = get_type_hints(section_type)
    for field in dataclasses.fields(section_type):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind) and "sentence" not in field.metadata:
            yield from _keys(kind, field.name)
        else:
            yield Key(section, field.name, kind, field.default, **field.metadata)


KEYS: Mapping[str, Key] = {key.path: key for key in _keys(Settings)}
SECTIONS: Mapping[str, Any] = {
    name: kind for name, kind in get_type_hints(Settings).items() if dataclasses.is_dataclass(kind)
}


def load(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from the file (if any), the environment and command line options, in this order.

    `overrides` maps paths such as "http.listen" to values; None means not given. Raises ConfigurationError
    that names the source, the key and, for an unknown key, the nearest known one."""
    surroundings = os.environ if environment is None else environment
    path = path or (Path(surroundings[CONFIG_VARIABLE]) if surroundings.get(CONFIG_VARIABLE) else None)
    values: dict[str, Any] = {}
    values.update(_from_tree(_read(path), str(path)) if path else {})
    values.update(_from_environment(surroundings))
    for key, value in (overrides or {}).items():
        if value is not None:
            values[key] = _convert(KEYS[key], value, f"option --{key.partition('.')[0]}")
    return _checked(_assemble(values))


def share_metrics(folder: Path) -> None:
    """Let this process and those that descend from it share their metrics in one folder, as prometheus-client wants to
    be told."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None


def _from_tree(tree: Mapping[str, Any], origin: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if name in SECTIONS and isinstance(value, dict):
            flat.update({f"{name}.{inner}": each for inner, each in value.items()})
        elif name in SECTIONS:
            raise ConfigurationError(f"{origin}: {name} must be a section, [{name}]")
        else:
            flat[name] = value
    for path in flat:
        if path not in KEYS:
            raise _unknown(origin, f"key {path}", _nearest(path, [*SECTIONS, *KEYS]))
    return {path: _convert(KEYS[path], value, f"{origin}: {path}") for path, value in flat.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    by_variable = {key.variable: key for key in KEYS.values()}
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if variable in by_variable:
            key = by_variable[variable]
            values[key.path] = _convert(key, _untexted(key, text), f"environment variable {variable}")
        elif (
            variable.startswith(PREFIX)
            and variable != CONFIG_VARIABLE
            and not _FOREIGN_VARIABLE.search(variable)
        ):
            raise _unknown("environment", f"variable {variable}", _nearest(variable, by_variable))
    return values


def _untexted(key: Key, text: str) -> Any:
    """Text of the environment as the value that TOML would have: numbers, true and false, lists."""
    if key.kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if key.kind is int:
        return int(text) if re.fullmatch(r"-?\d+", text) else text
    items = [item.strip() for item in text.split(",") if item.strip()]
    if key.kind == tuple[str, ...]:
        return items
    if key.kind == tuple[AETitleSeed, ...]:
        return {title: address for title, _, address in (item.partition("=") for item in items)}
    if key.kind == tuple[Coercion, ...]:
        return {keyword: value for keyword, _, value in (item.partition("=") for item in items)}
    if key.kind in _RULES:
        return _json_list(text)
    return text


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)
    return close[0] if close else ""


def _unknown(origin: str, what: str, nearest: str) -> ConfigurationError:
    return ConfigurationError(f"{origin}: unknown {what}; the nearest known is {nearest}")


def _as(kind: Any, what: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"must be {what}")
        return value

    return check


_text = _as(str, "text")


def _as_seeds(value: Any) -> tuple[AETitleSeed, ...]:
    lines = _as(dict, 'lines TITLE = "HOST:PORT"')(value)
    return tuple(AETitleSeed(_ae_title(title), Address.parse(_text(text))) for title, text in lines.items())


def _as_coercions(value: Any) -> tuple[Coercion, ...]:
    lines = _as(dict, 'lines Keyword = "value"')(value)
    for keyword, text in lines.items():
        coerced(keyword, _text(text))
    return tuple(Coercion(keyword, text) for keyword, text in lines.items())


def _as_rules(kind: Any, value: Any) -> Any:
    tables = _as(list, "a list of tables, [[…]]")(value)
    for number, table in enumerate(tables, start=1):
        try:
            _RULES[tuple[kind, ...]](table)
        except ValueError as error:
            raise ValueError(f"rule {number}: {error}") from None
    return tuple(kind(json.dumps(table, ensure_ascii=False)) for table in tables)


def _json_list(text: str) -> Any:
    """Rules in the environment are one JSON text."""
    try:
        return json.loads(text or "[]")
    except ValueError:
        return text


def _ae_title(text: str) -> str:
    """PS3.5 6.2, AE: 1 to 16 characters of the default repertoire, no backslash, no control characters."""
    if not re.fullmatch(r"[ -\[\]-~]{1,16}", text) or text != text.strip():
        raise ValueError("an AE title has 1 to 16 ASCII characters, no backslash, no space at its ends")
    return text


# What checks one table of a setting that is a list of them.
_RULES: Mapping[Any, Callable[[Any], Any]] = {
    tuple[CoercionRule, ...]: coercion_rule,
    tuple[CompressionRule, ...]: compression_rule,
    tuple[RetentionRule, ...]: retention_rule,
}

# Type of a setting -> what reads its value as TOML gives it; each raises ValueError with a sentence.
_CONVERTERS: Mapping[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _as(int, "a whole number"),
    bool: _as(bool, "true or false"),
    Path: lambda value: Path(_text(value)),
    Address: lambda value: Address.parse(_text(value)),
    tuple[str, ...]: lambda value: tuple(_text(item) for item in _as(list, "a list of texts")(value)),
    tuple[AETitleSeed, ...]: _as_seeds,
    tuple[Coercion, ...]: _as_coercions,
    tuple[CoercionRule, ...]: partial(_as_rules, CoercionRule),
    tuple[CompressionRule, ...]: partial(_as_rules, CompressionRule),
    tuple[RetentionRule, ...]: partial(_as_rules, RetentionRule),
}


def _convert(key: Key, value: Any, origin: str) -> Any:
    try:
        converted = _CONVERTERS[key.kind](str(value) if isinstance(value, Path) else value)
        if key.minimum is not None and converted < key.minimum:
            raise ValueError(f"must be at least {key.minimum}")
        if key.choices and converted not in key.choices:
            raise ValueError(f"must be one of {', '.join(key.choices)}")
        for title in {"dimse.ae_title": (converted,), "dimse.more_ae_titles": converted}.get(key.path, ()):
            _ae_title(title)
    except ValueError as error:
        raise ConfigurationError(f"{origin}: {error}") from None
    return converted


def value_of(settings: Settings, key: Key) -> Any:
    """The value of one setting as TOML would have it."""
    value = getattr(getattr(settings, key.section) if key.section else settings, key.name)
    if key.kind == tuple[AETitleSeed, ...]:
        return {seed.title: str(seed.address) for seed in value}
    if key.kind == tuple[Coercion, ...]:
        return {coercion.keyword: coercion.value for coercion in value}
    if key.kind in _RULES:
        return [json.loads(rule.text) for rule in value]
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Address | Path) else value


def _assemble(values: Mapping[str, Any]) -> Settings:
    parts: dict[str, dict[str, Any]] = {"": {}}
    for path, value in values.items():
        key = KEYS[path]
        parts.setdefault(key.section, {})[key.name] = value
    top = parts.pop("")
    top["data"] = Path(top.get("data", KEYS["data"].default)).expanduser().absolute()
    return Settings(**top, **{section: SECTIONS[section](**part) for section, part in parts.items()})


def _checked(settings: Settings) -> Settings:
    http = settings.http
    if not http.listen.is_loopback and not http.behind_proxy:
        raise ConfigurationError(
            f"http.listen: other machines can reach {http.listen}, and HTTP has no TLS itself; "
            "listen on 127.0.0.1, or set http.behind_proxy = true when a reverse proxy with TLS stands before it"
        )
    try:
        if settings.tls.listen:
            Address.parse(settings.tls.listen)
    except ValueError as error:
        raise ConfigurationError(f"tls.listen: {error}") from None
    try:
        if settings.audit.syslog:
            Address.parse(settings.audit.syslog)
    except ValueError as error:
        raise ConfigurationError(f"audit.syslog: {error}") from None
    if http.public_url and not re.match(r"https?://[^/]", http.public_url):
        raise ConfigurationError("http.public_url: must begin with http:// or https:// and a host")
    try:
        check_openid(settings.openid)
    except ValueError as error:
        raise ConfigurationError(f"openid.{error}") from None
    _check_worklist(settings)
    _check_xds(settings.xds.repository_unique_id)
    return settings


def _check_xds(repository_unique_id: str) -> None:
    try:
        if repository_unique_id:
            check_uid(repository_unique_id, 0x0040E030)  # Repository Unique ID
    except ArchiveError:
        raise ConfigurationError(
            "xds.repository_unique_id: an OID is digits and single dots, at most 64"
        ) from None


def _check_worklist(settings: Settings) -> None:
    try:
        for state in settings.worklist.offered:
            check_state(state)
        for one in settings.worklist.stations:
            modality, _, title = one.partition("=")
            if not modality.strip() or modality.strip() != modality:
                raise ValueError('stations are "MODALITY=AE TITLE", such as "CT=CT1"')
            _ae_title(title)
        for sender in settings.hl7.senders:
            ipaddress.ip_network(sender, strict=False)
        for listen in filter(None, (settings.hl7.listen, settings.hl7.tls_listen)):
            Address.parse(listen)
    except (ArchiveError, ValueError) as error:
        raise ConfigurationError(f"worklist or hl7: {error}") from None
