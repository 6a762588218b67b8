"""Renders a decision as HTML: a section that the report's page includes, and a page of its own around it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from markupsafe import Markup

from parity.decision import plots
from parity.decision.deciding import number
from parity.decision.model import ARMS, Decision
from parity.measuring.model import Loss, Matrix, Measured
from parity.support import templates

FOLDER = Path(__file__).with_name("page")
AROUND = (
    ":root{color-scheme:light dark;background:Canvas;color:CanvasText}"
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}"
)
"""The style of a page that holds the decision alone."""


def style() -> str:
    """Return the style that the section needs; all of it is below the class `decision`."""
    return (FOLDER / "decision.css").read_text(encoding="utf-8")


def section(decision: Decision, parts: Mapping[str, Measured], known: Collection[str] = ()) -> Markup:
    """Render the section `#decision`; scenarios in `known` are links to theirs. Every text in it is escaped."""
    drawn = plots.all_of(parts)
    return Markup(  # noqa: S704  # the template escapes
        templates.environment(FOLDER)
        .get_template("fragment.html.jinja")
        .render(
            decision=decision,
            parts=list(parts.values()),
            losses=_losses(parts),
            plots=drawn,
            titles=[_title(one) for one in drawn],
            arms=ARMS,
            number=number,
            known=known,
        )
    )


def page(decision: Decision, parts: Mapping[str, Measured]) -> str:
    """Render a page that needs nothing else."""
    text = AROUND + style()
    return (
        templates.environment(FOLDER)
        .get_template("page.html.jinja")
        .render(fragment=section(decision, parts), style=Markup(text), digest=templates.digest(text))  # noqa: S704  # our own
    )


def _losses(parts: Mapping[str, Measured]) -> dict[str, list[Loss]]:
    for tier in ("live", "mocked"):
        if (part := parts.get(tier)) and isinstance(part.data, Matrix):
            return part.data.losses
    return {}


def _title(svg: str) -> str:
    found = re.search(r"<title[^>]*>([^<]*)", svg)
    return Markup(found[1]).unescape() if found else ""  # noqa: S704  # unescaped, and escaped again
