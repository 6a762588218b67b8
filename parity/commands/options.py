"""Holds what the commands of `parity` share: options, the catalogue, errors that a user can correct."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from parity.catalogue import loading as catalogues
from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import TIERS, Scenario
from parity.commands.group import Unusable
from proxies.support.redact import redact_text
from proxies.support.terminal import say

if TYPE_CHECKING:
    from parity.judging.verdict import Verdict
    from parity.report.evidence import Evidence
    from parity.report.schema import Unseen

scenarios_option = click.option(
    "--scenarios",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Scenario files or folders instead of the built-in catalogue (repeatable).",
)
tier_option = click.option(
    "--tier",
    type=click.Choice(TIERS),
    default="mocked",
    show_default=True,
    help="mocked: in this process, no sockets. live: real LiteLLM, stub provider on loopback.",
)


def _built_in_ledger() -> Path:
    from parity.judging.ledger import BUILT_IN  # with pydantic's models of its entries

    return BUILT_IN


ledger_option = click.option(
    "--ledger",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=_built_in_ledger,
    help="The ledger of known divergences (default: the built-in one).",
)
litellm_option = click.option(
    "--litellm",
    metavar="VERSION",
    help="The LiteLLM whose recordings the mocked tier plays (default: the one installed, else the reference).",
)
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON alone, for a program (`parity schema report` describes it).",
)
majority_option = click.option(
    "--majority", is_flag=True, help="Compare with what most of the targets show, not with the first of them."
)
expression_option = click.option(
    "-k", "expression", default="", help="Only cells whose name matches, as in pytest -k."
)


def _workers(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if not value.isdecimal() and value != "auto":
        raise click.BadParameter(f"{value!r} is neither a number nor auto")
    return value


workers_option = click.option(
    "-n", "workers", default="0", callback=_workers, help="Worker processes: a number, or auto."
)
recorders_option = click.option(
    "-n",
    "workers",
    default="auto",
    show_default=True,
    callback=_workers,
    help="Worker processes: a number, or auto.",
)


def _headers(_context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for value in values:
        name, colon, text = value.partition(":")
        if not colon or not name.strip() or not _sendable(value):
            raise click.BadParameter("a header is written 'NAME: VALUE', in printable ASCII")
        found[name.strip().lower()] = text.strip()
    return found


def header_option(*names: str, text: str) -> Callable[[Any], Any]:
    return click.option(*names, multiple=True, callback=_headers, metavar="'NAME: VALUE'", help=text)


def key_from(variable: str) -> str:
    """Return the key in an environment variable, empty where there is none. Raises `Unusable`."""
    key = os.environ.get(variable, "").strip()
    if not _sendable(key):
        raise Unusable(
            f"{variable} holds a character that no header can: a key is printable ASCII, in one line"
        )
    return key


def _sendable(text: str) -> bool:
    return text.isascii() and (text.isprintable() or not text)


def load(paths: Sequence[Path]) -> Catalogue:
    return Catalogue.load(paths or (catalogues.BUILT_IN,))


def refuse(context: click.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that were given but would have no effect on this target."""
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name in names:
            raise click.UsageError(f"{parameter.opts[-1]} is {why}")


def agreed(what: str, yes: bool) -> None:
    """Say what is about to be asked of others, and ask whether to go on. Raises `Unusable` where nobody can say so."""
    say(what, err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise Unusable("nobody is there to ask whether to start; --yes starts at once")
    click.confirm("Start?", abort=True, err=True)


def one(loaded: Catalogue, scenario_id: str) -> Scenario:
    ids = [scenario.id for scenario in loaded]
    if scenario_id in ids:
        return loaded[scenario_id]
    near = [i for i in ids if scenario_id in i] or get_close_matches(scenario_id, ids)
    hint = f"did you mean {', '.join(near[:6])}?" if near else "`parity list` shows all"
    raise Unusable(f"no scenario {scenario_id!r}; {hint}")


def finish(
    verdict: Verdict,
    catalogue: str,
    made_with: dict[str, dict[str, str]],
    folder: Path | None,
    crashes: dict[str, str] | None = None,
    evidence: Mapping[str, Evidence] | None = None,
    unseen: Iterable[Unseen] = (),
    as_json: bool = False,
) -> NoReturn:
    """Print the table, write the files, print the verdict line; end the process with the verdict's exit code.

    With `as_json` stdout is the JSON report alone.
    """
    from parity import report  # its templates take a while to be imported, and `parity list` has no report
    from parity.report import terminal

    made = report.build(verdict, catalogue=catalogue, versions=made_with, evidence=evidence, unseen=unseen)
    for node, text in sorted((crashes or {}).items()):
        say(f"could not be played: {node}\n{redact_text(text)}", err=True)
    if folder is not None:
        for path in report.write(made, folder):
            say(f"wrote {path}", err=True)
    if as_json:
        say(report.FORMATS["json"](made).removesuffix("\n"))
    else:
        terminal.show(made)  # its last line is the verdict
    sys.exit(verdict.exit_code)
