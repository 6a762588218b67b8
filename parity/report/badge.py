"""Renders the verdict as a badge: an SVG image for a README, whose text says the same as its colour."""

from __future__ import annotations

from collections import Counter
from xml.sax.saxutils import escape

from parity.report.schema import Report
from proxies.support.terminal import printable

_COLOURS = {0: "#11632a", 1: "#a00f26", 2: "#5a2a86"}
_WIDE = 6.6  # pixels that a character takes at most, at this size of letters


def render(report: Report) -> str:
    """Render the SVG; it loads nothing, and scripts have no place in it."""
    verdict = report.verdict
    parity = Counter(scenario.parity for scenario in verdict.scenarios)
    failing = sum(not scenario.ok for scenario in verdict.scenarios)
    label = f"parity {verdict.tier}"
    said = {
        0: f"{parity['identical']} identical, {parity['explained']} explained",
        1: f"{failing} of {len(verdict.scenarios)} fail" if failing else "ledger out of date",
        2: "incomplete",
    }[verdict.exit_code]
    left, right = (round(len(text) * _WIDE) + 12 for text in (label, said))
    whole = escape(printable(f"{label}: {said}"), {'"': "&quot;"})
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{whole}">\n<title>{whole}</title>\n'
        f'<rect width="{left + right}" height="20" rx="3" fill="#3b4148"/>\n'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z" '
        f'fill="{_COLOURS[verdict.exit_code]}"/>\n'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">\n'
        f'<text x="6" y="14" textLength="{left - 12}">{escape(label)}</text>\n'
        f'<text x="{left + 6}" y="14" textLength="{right - 12}">{escape(said)}</text>\n</g>\n</svg>\n'
    )
