"""`memory-proxy ports …` and `memory-proxy interceptor`."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

from proxies.front.observing import logs
from proxies.interceptor.ports import PORT_VARIABLE, PortRegistry, PortRegistryError
from proxies.interceptor.project import USER_VARIABLE, default_user_id, project_key
from proxies.server import serving
from proxies.server.options import grace_option
from proxies.server.serving import Service, SetUpError
from proxies.support.console import SafeConsole
from proxies.support.terminal import say

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_directory = click.argument("directory", metavar="[DIR]", type=_FOLDER, default=".")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")


@click.group()
def ports() -> None:
    """The port of each project's interceptor.

    A project is a directory. It gets a port the first time one is asked for, and keeps it. The file is
    PORT_REGISTRY_PATH, the range INTERCEPTOR_PORT_MIN to INTERCEPTOR_PORT_MAX (8888 to 9999).

    \b
    Examples:
      memory-proxy ports allocate ~/src/shop
      memory-proxy ports list --json
      memory-proxy ports check || memory-proxy ports remove --stale
    """


@ports.command("list")
@_json
def list_all(as_json: bool) -> None:
    """List all projects and their ports.

    \b
    Examples:
      memory-proxy ports list
      memory-proxy ports list | cut -f1
    """
    with _told():
        rows = PortRegistry().mappings()
    if as_json:
        _print_json([{"project": project, "port": port} for project, port in rows.items()])
    elif rows:
        _print_table(("port", "project"), [(str(port), project) for project, port in rows.items()])
    else:
        say("No project has a port yet; memory-proxy ports allocate DIR gives it one.", err=True)


@ports.command()
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@_json
def show(directory: Path, as_json: bool) -> None:
    """Show one project: its port, where an IDE reaches it, its user id. DIR is the working directory if not given.

    Exit code 1 when it has no port yet.

    \b
    Example:
      memory-proxy ports show ~/src/shop
    """
    with _told():
        registry = PortRegistry()
        port = registry.get_port(directory)
        serving = port is not None and registry.is_served(port)
        _mention_fixed_port()
    found: dict[str, Any] = {
        "project": project_key(directory),
        "port": port,
        "url": None if port is None else f"http://127.0.0.1:{port}",
        "user_id": default_user_id(directory),
        "serving": serving,
    }
    if as_json:
        _print_json(found)
    elif port is None:
        where = click.format_filename(found["project"])
        say(f"{where} has no port yet; memory-proxy ports allocate gives it one.", err=True)
    else:
        said = found | {"serving": "yes" if serving else "no"}
        for name, value in said.items():
            say(f"{name.replace('_', ' ')}: {click.format_filename(str(value))}")
    if port is None:
        sys.exit(1)


@ports.command()
@_directory
@_json
def allocate(directory: Path, as_json: bool) -> None:
    """Print the project's port, a new one if it has none. DIR is the working directory if not given.

    \b
    Example:
      export OPENAI_BASE_URL=http://127.0.0.1:$(memory-proxy ports allocate)/v1
    """
    with _told():
        port = PortRegistry().get_or_allocate_port(directory)
        _mention_fixed_port()
    if as_json:
        _print_json({"project": project_key(directory), "port": port})
    else:
        say(port)


@ports.command()
@click.argument("directories", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--stale", is_flag=True, help="Every project whose directory does not exist any more.")
@_json
def remove(directories: tuple[Path, ...], stale: bool, as_json: bool) -> None:
    """Forget projects; their ports may be given to others.

    Exit code 1 when one of the directories had no port.

    \b
    Examples:
      memory-proxy ports remove ~/src/shop
      memory-proxy ports remove --stale
    """
    if not directories and not stale:
        raise click.UsageError("name a directory, or give --stale")
    with _told():
        registry = PortRegistry()
        projects = [project_key(directory) for directory in directories]
        if stale:
            projects += [project for project in registry.mappings() if not Path(project).is_dir()]
        removed = {project: registry.remove(project) for project in dict.fromkeys(projects)}
        serving = [port for port in removed.values() if port is not None and registry.is_served(port)]
    for port in serving:
        say(f"An interceptor still listens on {port}.", err=True)
    if as_json:
        _print_json([{"project": project, "port": port} for project, port in removed.items()])
    else:
        for project, was in removed.items():
            what = "had no port" if was is None else f"removed, had port {was}"
            say(f"{click.format_filename(project)}: {what}", err=was is None)
    if None in removed.values():
        sys.exit(1)


@ports.command()
@_json
def check(as_json: bool) -> None:
    """Check the file, the ports and the directories; exit code 1 when there is a problem.

    A port is "serving" when its project's interceptor listens on it, "free", or "taken" by another program.

    \b
    Example:
      memory-proxy ports check --json | jq -r '.projects[] | select(.problems != []) | .project'
    """
    with _told():
        registry = PortRegistry()
        damage = registry.damage()
        rows = registry.check()
    if as_json:
        _print_json(
            {
                "registry": str(registry.path),
                "damage": damage,
                "projects": [
                    {
                        "project": row.project,
                        "port": row.port,
                        "state": row.state,
                        "problems": row.problems,
                        "notes": row.notes,
                    }
                    for row in rows
                ],
            }
        )
    else:
        if rows:
            _print_table(
                ("port", "state", "project", "remarks"),
                [(str(r.port), r.state, r.project, "; ".join(r.problems + r.notes)) for r in rows],
            )
        bad = sum(bool(row.problems) for row in rows)
        say(f"{registry.path}: {len(rows)} projects, {bad} with problems", err=True)
    if damage or any(row.problems for row in rows):
        sys.exit(1)


@ports.command()
@click.option("--yes", is_flag=True, help="Don't ask.")
@_json
def reset(yes: bool, as_json: bool) -> None:
    """Forget all projects. It asks before, unless --yes is given.

    \b
    Example:
      memory-proxy ports reset --yes
    """
    with _told():
        registry = PortRegistry()
        count = len(registry.mappings())
        if count and not yes:
            _confirm(f"Forget the ports of all {count} projects in {registry.path}?")
        count = registry.reset()
    if as_json:
        _print_json({"removed": count})
    else:
        say(f"{count} removed")


@click.command()
@click.option(
    "--project",
    metavar="DIR",
    type=_FOLDER,
    default=".",
    help="The project's directory; the working directory if not given.",
)
@click.option(
    "--upstream",
    metavar="URL",
    default="http://127.0.0.1:8080",
    show_default=True,
    envvar="INTERCEPTOR_UPSTREAM",
    show_envvar=True,
    help="The memory proxy.",
)
@click.option(
    "--user-id",
    metavar="ID",
    envvar=USER_VARIABLE,
    show_envvar=True,
    help="Whose memories the project's requests use. If not given: the directory's name and 8 hex digits "
    "that stand for its path.",
)
@click.option(
    "--user-header",
    metavar="NAME",
    default="x-memory-user-id",
    show_default=True,
    help="The custom_header of the memory proxy's configuration.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Port of this run, 0 for any free one; the registry is not asked. If not given: {PORT_VARIABLE}, "
    "else the project's own port.",
)
@grace_option
@click.option(
    "--log-level",
    default=None,
    show_default="info with --log-format json, else warning",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What goes to stderr. Keys are masked.",
)
@click.option(
    "--log-format",
    default="text",
    show_default=True,
    type=click.Choice(["text", "json"]),
    help="How it is written: for people, or one JSON object a line.",
)
def interceptor(
    project: Path,
    upstream: str,
    user_id: str | None,
    user_header: str,
    host: str,
    port: int | None,
    grace: float,
    log_level: str | None,
    log_format: logs.Format,
) -> None:
    """Forward everything to a memory proxy, as one project's user.

    An IDE that can only be given a base URL is pointed at the project's own port. Keys pass through: the IDE
    sends the memory proxy's. A request that names a user itself keeps that user.

    \b
    Examples:
      cd ~/src/shop && memory-proxy interceptor
      memory-proxy interceptor --project ~/src/shop --user-id shop --upstream http://10.0.0.7:8080
    """
    from proxies.interceptor.app import create_app

    logs.configure(log_level or ("info" if log_format == "json" else "warning"), log_format)
    logging.getLogger("uvicorn.error").addFilter(_untold)
    user_id = user_id or default_user_id(project)
    with _told():
        app = create_app(upstream, user_id, user_header=user_header)
        registry = PortRegistry()
        chosen = registry.listening_port(project) if port is None else port
        own = port is None and registry.fixed_port() is None
    if chosen and registry.is_served(chosen):
        raise SetUpError(f"an interceptor listens on port {chosen} already")
    try:
        bound = serving.bind(host, chosen)
    except SetUpError as error:
        if not own:
            raise
        where = click.format_filename(project_key(project))
        raise SetUpError(
            f"{error.message}; `memory-proxy ports remove {where}` lets it get a new one"
        ) from None
    with bound as sock, registry.serving(sock.getsockname()[1]):
        service = Service("interceptor", lambda: app, sock, date_header=False)  # the memory proxy's own
        where = click.format_filename(project_key(project))
        line = f"memory-proxy interceptor: listening on {service.url} for {where} as {user_id}, upstream {upstream}"
        serving.serve([service], grace=grace, announce=lambda: logs.announce(line))


def _untold(record: logging.LogRecord) -> bool:
    """That an answer was broken off is logged by the app, with the reason."""
    return record.msg != "ASGI callable returned without completing response."


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (PortRegistryError, ValueError) as error:
        raise SetUpError(str(error)) from None


def _confirm(question: str) -> None:
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):
            raise
        say(err=True)  # the question has left its line open
        raise SetUpError("nobody is there to answer; --yes forgets them without asking") from None


def _mention_fixed_port() -> None:
    fixed = PortRegistry.fixed_port()
    if fixed is not None:
        say(f"{PORT_VARIABLE} is set: an interceptor started here listens on {fixed} instead.", err=True)


def _print_json(value: Any) -> None:
    say(json.dumps(value, indent=2))


def _print_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for people; for programs a line a row, tabs between, no heading."""
    if not sys.stdout.isatty():
        for row in rows:
            say("\t".join(click.format_filename(cell) for cell in row))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")  # a path with its end cut off is of no use
    for row in rows:
        table.add_row(*(click.format_filename(cell) for cell in row))
    console = SafeConsole(markup=False, highlight=False)
    console.print(table)
