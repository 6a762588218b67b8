"""Writes the table of gateways: how each keeps each clause, with version, evidence, and the command that shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parity.gateways.judging import GatewayVerdict
from parity.judging.levels import LEVELS, Level, clauses

TITLES: dict[Level, str] = {
    "api": "What the published APIs ask for",
    "careful": "What a careful gateway keeps",
    "own": "This project's own",
}
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>|~])")
LONGEST = 160


def page(verdicts: Sequence[GatewayVerdict]) -> str:
    """Render the page; equal verdicts make equal bytes."""
    parts = [_HEAD, _overview(verdicts)]
    for level in LEVELS:
        if table := _table(verdicts, level):
            parts += [f"## {TITLES[level]}", table]
    parts.append("## What was seen")
    parts += [_evidence(verdict) for verdict in verdicts]
    parts.append("## What didn't apply")
    parts += [_not_applicable(verdict) for verdict in verdicts]
    return "\n\n".join(parts) + "\n"


_HEAD = """# Gateways, judged by the contract

`parity judge --all` writes this page. Each gateway was installed from its registry in the version that is named,
started with the configuration of its profile in
[parity/gateways/profiles](../parity/gateways/profiles/passthrough.yaml) in front of the stub provider, and every
scenario that applies was played through it. A cell says in how many of the scenarios that look at a clause it is
kept; [the clauses](contract.md) have levels and sources in [parity/clauses.yaml](../parity/clauses.yaml).

A broken clause says what was sent, what came, and what is owed there. It isn't a judgement of the whole product:
another configuration may behave otherwise, and what a gateway is for (routing, keys, budgets, logs) isn't looked
at. If a profile does a gateway wrong, it is the profile that has to change."""
_HEADINGS = "| gateway | version | scenarios met | clauses kept | not applicable | to reproduce |"


def _overview(verdicts: Sequence[GatewayVerdict]) -> str:
    rows = [_HEADINGS, "|---" * 6 + "|"]
    for v in verdicts:
        kept = sum(not clause.broken for clause in v.clauses.values())
        rows.append(
            f"| {_text(v.title)} | {_text(v.version + v.asked_by)} | {v.flawless} of {v.applicable} | "
            f"{kept} of {len(v.clauses)} | {sum(v.not_applicable.values())} | `{v.command}` |"
        )
    return "\n".join(
        [*rows, "", *(f"- **{_text(v.title)}**: {_text(v.about)} {_text(v.note)}".rstrip() for v in verdicts)]
    )


def _table(verdicts: Sequence[GatewayVerdict], level: Level) -> str:
    known = clauses()
    names = [
        name
        for name, clause in known.items()
        if clause.level == level and any(name in v.clauses for v in verdicts)
    ]
    if not names:
        return ""
    rows = [
        f"| clause | {' | '.join(_text(v.title) for v in verdicts)} |",
        "|---" * (len(verdicts) + 1) + "|",
    ]
    for name in names:
        rows.append(f"| `{name}` | {' | '.join(_cell(v, name) for v in verdicts)} |")
    sources = list(dict.fromkeys(known[name].source for name in names))
    return "\n".join([*rows, "", "Sources: " + "; ".join(_text(source) for source in sources) + "."])


def _cell(verdict: GatewayVerdict, name: str) -> str:
    clause = verdict.clauses.get(name)
    if clause is None:
        return "–"
    mark = "✅" if not clause.broken else "❌"
    return f"{mark} {clause.met}/{clause.checked}"


def _evidence(verdict: GatewayVerdict) -> str:
    lines = [f"### {_text(verdict.title)} {_text(verdict.version + verdict.asked_by)}"]
    broken = {name: clause for name, clause in verdict.clauses.items() if clause.broken}
    if not broken:
        return f"{lines[0]}\n\nNothing is broken."
    rows = ["| clause | broken in | for example | owed | seen |", "|---|---|---|---|---|"]
    for name, clause in broken.items():
        scenario, (first, *_) = next(iter(clause.broken.items()))
        rows.append(
            f"| `{name}` | {len(clause.broken)} of {clause.checked} | {_text(scenario)} {_text(first.path)} | "
            f"{_short(first.expected)} | {_short(first.actual)} |"
        )
    command = f"To see one again: `{verdict.command} -k NAME`, with a part of the scenario's name."
    return "\n\n".join([*lines, "\n".join(rows), command])


def _not_applicable(verdict: GatewayVerdict) -> str:
    reasons = "\n".join(f"- {count} × {_text(reason)}" for reason, count in verdict.not_applicable.items())
    return f"**{_text(verdict.title)}**\n\n{reasons or 'Everything applied.'}"


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return _text(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def _text(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", text)
