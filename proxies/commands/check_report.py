"""Prints what `proxies.commands.check` found: tables for people, and lines with tabs for what stands behind a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from proxies.support.console import SafeConsole
from proxies.support.terminal import say


def show(found: Mapping[str, Any], console: SafeConsole | None = None) -> None:
    """Print `found`, as `proxies.commands.check.checked` gives it, to stdout."""
    console = console or SafeConsole()
    _table(console, "Models", ("model", "calls", "at", "provider's key", "memory"), _models(found["models"]))
    _table(
        console,
        "Routes",
        ("method", "path", "key", "binary", "sdk"),
        (
            (
                " ".join(row["methods"]),
                " ".join(row["paths"]),
                "yes" if row["key"] else "no",
                row["binary"],
                row["sdk"],
            )
            for row in found["routes"]
        ),
    )
    _table(console, "Memory", ("setting", "value"), _memory(found["memory"]))
    users = found["users"]
    _table(
        console,
        f"Users: {users['custom_header']} names one, else who asks, else {users['default_user_id']}",
        ("client", "sends", "counts for", "because"),
        (
            (row["client"], row["sends"], row["user_id"] or "refused", row["because"])
            for row in users["clients"]
        ),
    )
    if len(users["share_the_default"]) > 1:
        console.print(
            f"{', '.join(users['share_the_default'])} share the memories of {users['default_user_id']}.\n",
            markup=False,
            highlight=False,
            soft_wrap=not console.is_terminal,
            style="yellow",
        )
    _table(
        console,
        "Limits",
        ("limit", "value"),
        ((name, f"{value:,}") for name, value in found["limits"].items()),
    )
    if found["environment"]:
        _table(
            console,
            "Environment",
            ("variable", "state"),
            ((row["name"], "set" if row["set"] else "not set") for row in found["environment"]),
        )
    for architecture, problems in found["serves"].items():
        verdict = "can't serve this" if problems else "can serve this"
        console.print(
            f"{architecture}: {verdict}", markup=False, highlight=False, style="red" if problems else "green"
        )
        for problem in problems:
            console.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)


def _models(models: Iterable[Mapping[str, Any]]) -> Iterable[Sequence[str]]:
    for model in models:
        for number, deployment in enumerate(model["deployments"]):
            weight = "" if deployment["weight"] is None else f" (weight {deployment['weight']:g})"
            told = "; tells Supermemory who asks" if deployment["tells_supermemory"] else ""
            retrieved = f"from {model['memory']['store']}" if model["memory"] else "none retrieved"
            yield (
                "" if number else model["name"],
                f"{deployment['model']}{weight}",
                deployment["api_base"] or "its usual address",
                deployment["key"],
                "" if number else f"{retrieved}{told}",
            )
        for key, names in model["fallbacks"].items():
            yield "", f"else {', '.join(names)} ({key})", "", "", ""


def _memory(memory: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    store = memory["store"]
    yield "enabled", "yes" if memory["enabled"] else "no"
    yield "retrieved for", ", ".join(memory["retrieves_for"]) or "no model"
    for name in ("store", "where", "container_tag", "query_strategy", "injection_strategy", "timeout"):
        yield name, str(store[name])
    if store["key_is_set"] is not None:
        yield "api_key", "set" if store["key_is_set"] else "not set"
    if store["write_back"]:
        yield "write_back", "yes"


def _table(console: SafeConsole, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    if not console.is_terminal:
        # No table would fit any width and keep its values whole, and who searches wants a row in one line.
        for line in ([title], columns, *rows, []):
            say("\t".join(line), file=console.file)  # rich would make blanks of the tabs
        return
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    console.print()
