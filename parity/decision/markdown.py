"""Writes a decision as a page of Markdown, such as docs/decision.md."""

from __future__ import annotations

import re

from parity.decision.deciding import number
from parity.decision.model import ARMS, Decision, Weighed
from proxies.support.terminal import printable

MARKS = ("<!-- decision -->", "<!-- /decision -->")
_SPAN = re.compile(r"`[^`|\s]+`")
"""A word of code; a pipe in it would end the cell of a table."""
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~])")


def render(decision: Decision) -> str:
    """Return the whole page: equal decisions make equal text."""
    parts = [
        "# Which one: binary or sdk?",
        f"**{_text(decision.sentence)}**",
        _about(decision),
        _table(decision),
    ]
    parts.append(_evidence(decision))
    return "\n\n".join(parts) + "\n"


class MarkError(Exception):
    """Reports that a page has no place for the sentence."""


def inserted(page: str, decision: Decision) -> str:
    """Return a page with the sentence between its two marks. Raises `MarkError` when they aren't there once each."""
    if [page.count(mark) for mark in MARKS] != [1, 1]:
        raise MarkError(f"the sentence belongs between {MARKS[0]} and {MARKS[1]}, once each")
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    when = (
        f" ({decision.made[-1][:10]}, LiteLLM {decision.versions.get('litellm', 'unknown')})"
        if decision.made
        else ""
    )
    return f"{before}{MARKS[0]}\n> {_text(decision.sentence)}{_text(when)}\n{MARKS[1]}{after}"


def _about(decision: Decision) -> str:
    totals = ", ".join(f"{arm} {100 * decision.totals[arm]:.1f}" for arm in ARMS)
    said = [f"Of 100 points, by the weights of {_code(decision.weights)}: {totals}."]
    if decision.made:
        said.append(_text(f"Measured from {decision.made[0]} to {decision.made[1]}."))
    if machine := decision.machine:
        memory = f", {machine.memory_gb:g} GB" if machine.memory_gb else ""
        said.append(_text(f"Machine: {machine.cores} cores, {machine.cpu}{memory}, {machine.system}."))
        said.append(_text(f"Python {machine.python}."))
    if decision.versions:
        said.append(
            ", ".join(_text(f"{name} {version}") for name, version in sorted(decision.versions.items())) + "."
        )
    written = "This page is written by `parity decide --page docs/decision.md`; don't edit it."
    return " ".join(said) + "\n\n" + written


def _table(decision: Decision) -> str:
    head = ["factor", *ARMS, "weight", "turns at", "evidence"]
    rows = [head, ["---", "---:", "---:", "---:", "---:", "---"], *(_row(w) for w in decision.factors)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(weighed: Weighed) -> list[str]:
    factor = weighed.factor
    shown = ["not measured"] * len(ARMS)
    if factor.values:
        shown = [_value(factor.values[arm], factor.unit, factor.details.get(arm, "")) for arm in ARMS]
    turns = f"{weighed.direction} {number(weighed.flip)}" if weighed.flip is not None else "–"
    title = _text(factor.title) + (f" ({_text(factor.note)})" if factor.note else "")
    return [title, *shown, number(weighed.weight), turns, _code(factor.evidence) if factor.evidence else "–"]


def _value(value: float, unit: str, detail: str) -> str:
    said = f"{number(value)} {unit}".strip()
    return f"{said} ({_text(detail)})" if detail else said


def _evidence(decision: Decision) -> str:
    seen: dict[str, tuple[str, str]] = {}
    for weighed in decision.factors:
        if weighed.factor.evidence:
            seen[weighed.factor.evidence] = (weighed.factor.made, weighed.factor.command)
    rows = [
        f"| {_code(name)} | {_text(made)} | {_code(command)} |"
        for name, (made, command) in sorted(seen.items())
    ]
    return "\n".join(["| evidence | measured | again |", "| --- | --- | --- |", *rows])


def _text(text: str) -> str:
    """Return the text as Markdown shows it; what stands between two of its backticks stays code, where nothing acts."""
    said, ends = printable(text), 0
    parts = []
    for found in _SPAN.finditer(said):
        parts += [_escaped(said[ends : found.start()]), found[0]]
        ends = found.end()
    return "".join([*parts, _escaped(said[ends:])])


def _escaped(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", text)


def _code(text: str) -> str:
    return "`" + printable(text).replace("`", "'").replace("|", "\\|") + "`"
