"""Holds the group that `parity` is: its commands are imported when they are called, its errors told in one line."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import click

from proxies.support import command_group

EXPECTED = frozenset(
    {
        "parity.catalogue.loading:CatalogueError",
        "parity.catalogue.selection:SelectionError",
        "parity.gateways.profile:ProfileError",
        "parity.judging.ledger:LedgerError",
        "parity.matrix:MatrixError",
        "parity.observation.file:ObservationFileError",
        "parity.recording.file:RecordingError",
        "parity.report.reading:ReportError",
        "parity.targets.endpoint:EndpointError",
    }
)
"""Errors that a user can correct, by name: a command that needs none of these modules imports none."""


class Unusable(click.ClickException):
    """Reports a usage error, or something that is not installed or reachable here."""

    exit_code = 2


class Group(command_group.Group):
    """Turns errors that a user can correct into one message and exit code 2, never a traceback.

    `places` says for each command's name where it is: `module:function`. Importing all of them takes seconds.
    """

    def __init__(self, *arguments: Any, places: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._places = dict(places or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._places]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._places:
            module, _, function = self._places[cmd_name].partition(":")
            return cast(click.Command, getattr(import_module(module), function))
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command is for: the docstrings are read, and no module imported."""
        told = {name: click.Command(name, help=_docstring(place)) for name, place in self._places.items()}
        click.Group(commands={**told, **self.commands}).format_commands(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if _expected(error):
                raise Unusable(str(error)) from None
            if isinstance(error, OSError):  # a full disk, a folder that may not be written to
                where = f"{error.filename}: " if error.filename else ""
                raise Unusable(f"{where}{error.strerror or error}") from None
            raise


def _expected(error: Exception) -> bool:
    return any(f"{kind.__module__}:{kind.__name__}" in EXPECTED for kind in type(error).__mro__)


def _docstring(place: str) -> str:
    module, _, function = place.partition(":")
    spec = find_spec(module)
    assert spec is not None
    tree = ast.parse(Path(str(spec.origin)).read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    return ast.get_docstring(found) or ""
