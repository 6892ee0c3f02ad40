"""`archive user …` and `archive token …`: the people who may sign in, and the tokens that programs use in their name.
In effect at once in a running server."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.errors import InvalidEntry
from archive.security.actor import operator
from archive.security.people import Kind, Person
from archive.security.roles import WITHIN_A_VIEW, Role
from archive.security.views import View

app = typer.Typer(no_args_is_help=True, help="People who may sign in.")
tokens_app = typer.Typer(
    no_args_is_help=True, help="Tokens by which programs sign in, and sessions of browsers."
)

Name = Annotated[str, typer.Argument(help="Name to sign in with.", show_default=False)]
RolesOption = Annotated[
    list[Role] | None, typer.Option("--role", help="What they may do; may be given more than once.")
]
SeeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--see",
        help="Only these studies, such as 'institution=St. Mary*; modality=CT'. May be given again: each shows "
        "some. Replaces what there was.",
    ),
]
FullNameOption = Annotated[str | None, typer.Option("--full-name", help="As others know them.")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="The password is a line of standard input.")
]


@app.command()
def add(
    name: Name,
    role: RolesOption = None,
    full_name: FullNameOption = None,
    password_stdin: StdinOption = False,
    no_password: Annotated[bool, typer.Option(help="For programs that use tokens alone.")] = False,
    see: SeeOption = None,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make somebody known; the password is asked for."""
    if not role:
        raise InvalidEntry(f"role: give --role, once or more: {_named(Role)}")
    password = "" if no_password else _password(from_stdin=password_stdin)
    with opening.archive(opening.settings(config_file, data=data), make=True) as archive:
        one = archive.people.add(name, full_name or "", role, password, see or (), by=operator())
    typer.echo(f"{one.name} may sign in as {_named(one.roles)}{_seen(one.view)}.")


@app.command("set")
def change(
    name: Name,
    role: RolesOption = None,
    full_name: FullNameOption = None,
    enable: Annotated[
        bool | None,
        typer.Option("--enable/--disable", help="Whether they may sign in; --disable ends it at once."),
    ] = None,
    see: SeeOption = None,
    see_all: Annotated[bool, typer.Option("--see-all", help="All studies again.")] = False,
    password: Annotated[bool, typer.Option("--set-password", help="Ask for another password.")] = False,
    password_stdin: StdinOption = False,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Change roles, name or password of somebody. With another password all their sessions end; tokens stay."""
    shown = _shown(see, see_all=see_all)
    new = _password(from_stdin=password_stdin) if password or password_stdin else ""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        disabled = None if enable is None else not enable
        one = archive.people.change(
            name,
            full_name=full_name,
            roles=role,
            disabled=disabled,
            password=new or None,
            see=shown,
            by=operator(),
        )
    typer.echo(f"{one.name} is changed: {_named(one.roles)}{_suffix(one)}.")


@app.command("list")
def list_people(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show everybody who is known."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        known = archive.people.all()
    rows = [
        [one.name, one.full_name, _named(one.roles), _all_or(one.view), one.issuer or "here", _state(one)]
        for one in known
    ]
    tables.show(["Name", "Full name", "Roles", "Sees", "From", ""], rows)


@app.command()
def remove(name: Name, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Forget somebody: all sessions and tokens of theirs end at once."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        archive.people.remove(name, by=operator())
    typer.echo(f"{name} is forgotten.")


@app.command("reset-second-factor")
def reset_second_factor(name: Name, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Take off the second factor of somebody who has lost it: their password is enough again."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        archive.second_factors.remove(name, by=operator())
    typer.echo(f"{name} signs in with the password alone, and may set up another second factor.")


@tokens_app.command("add")
def issue(
    name: Name,
    label: Annotated[str, typer.Option(help="What it is for, for the list.")],
    days: Annotated[float, typer.Option(help="Days until it ends.", min=0.01)] = 90,
    role: Annotated[
        list[Role] | None, typer.Option("--role", help="Only what this role allows as well; more than once.")
    ] = None,
    see: SeeOption = None,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a token in somebody's name, and show it: this once, as only its digest is kept."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        secret, made = archive.people.issue(name, label, days, role or (), see or (), by=operator())
    typer.echo(secret)
    typer.echo(
        f"Until {tables.when(made.expires_at)}, as Authorization: Bearer, or as password of {name}.", err=True
    )


@tokens_app.command("list")
def list_tokens(
    name: Annotated[str | None, typer.Argument(help="Of whom; of everybody.", show_default=False)] = None,
    sessions: Annotated[bool, typer.Option("--sessions", help="Sessions of browsers as well.")] = False,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show tokens that are in force, and when each was used last."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = archive.people.credentials(name)
    rows = [
        [str(one.id), one.name, one.kind.value, one.label, _named(one.roles), _all_or(one.view)]
        + [tables.when(moment) for moment in (one.created_at, one.used_at, one.expires_at)]
        for one in found
        if sessions or one.kind is Kind.TOKEN
    ]
    tables.show(["Number", "Of", "What", "For", "Only as", "Sees", "Made", "Last used", "Ends"], rows)


@tokens_app.command("remove")
def revoke(
    number: Annotated[int, typer.Argument(help="As `archive token list` shows it.", show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """End a token or a session at once."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        archive.people.revoke(number, by=operator())
    typer.echo(f"{number} has ended.")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return asked


def _named(roles: Iterable[Role]) -> str:
    return ", ".join(sorted(role.value for role in roles))


def _all_or(view: View | None) -> str:
    return "all" if view is None else str(view)


def _seen(view: View | None) -> str:
    """What one who gives a view has to know as well."""
    if view is None:
        return ""
    kept = ", ".join(sorted(right.value for right in WITHIN_A_VIEW))
    return f", and sees {view}; of what the roles allow, only {kept}"


def _shown(see: list[str] | None, *, see_all: bool) -> Sequence[str] | None:
    """None: as it was."""
    if see and see_all:
        raise InvalidEntry("--see and --see-all: one of the two")
    return () if see_all else see or None


def _suffix(one: Person) -> str:
    return f"{', disabled' if one.disabled else ''}{_seen(one.view)}"


def _state(one: Person) -> str:
    if one.disabled:
        return "disabled"
    if one.has_second_factor:
        return "second factor"
    return "" if one.password_hash or one.issuer else "tokens only"
