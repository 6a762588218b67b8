"""Writes what changed from version to version as Markdown: by clause, with both values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from parity.catalogue.scenario import Scenario
from parity.versions.history import Change, Step, short

EXAMPLES = 3
"""Scenarios that are named beside a change."""


def page(steps: Sequence[Step], scenarios: Sequence[Scenario]) -> str:
    """Return the page: a heading for each version, the newest first, and a line for each kind of change."""
    lines = [
        "# LiteLLM's answers, release by release",
        "",
        f"Made by `parity changelog` from {len(scenarios)} scenarios, each played on every release. `process` is "
        "LiteLLM's server alone, `sdk` its functions alone; `binary` and `sdk-proxy` are the proxies on it.",
        "",
        "Generated ids and times are masked. A line is one kind of change; a path is that of the answer, without the "
        "number of the request.",
        "",
    ]
    for step in reversed(steps):
        lines += [f"## {step.version}", "", *_body(step), ""]
    return "\n".join(lines).rstrip() + "\n"


def _body(step: Step) -> Iterable[str]:
    if step.problem:
        return [f"Left out: {' '.join(step.problem.split())[:300]}"]
    if not step.since:
        return ["The first that was played; the others are compared with the one before."]
    if not step.changes:
        return [f"Nothing since {step.since}."]
    kinds: dict[tuple[str, str, str, str], list[Change]] = {}
    for change in step.changes:
        general = re.sub(r"\[\d+\]", "[…]", change.path.replace("$[0]", "$"))
        kinds.setdefault(
            (change.subject, general, short(change.before, 90), short(change.after, 90)), []
        ).append(change)
    most_first = sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0]))
    return [f"Since {step.since}:", "", *(_line(*kind, changes) for kind, changes in most_first)]


def _line(subject: str, path: str, before: str, after: str, changes: Sequence[Change]) -> str:
    names = list(dict.fromkeys(change.scenario for change in changes))
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    clauses = sorted({clause for change in changes for clause in change.clauses})[:EXAMPLES]
    shown = ", ".join(f"`{name}`" for name in names[:EXAMPLES])
    return (
        f"- {subject} `{path}`: {_code(before)} became {_code(after)} ({shown}{more}; {', '.join(clauses)})"
    )


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"
