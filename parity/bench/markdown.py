"""Writes a bench as Markdown, the tables of docs/performance.md, and puts them into a page between two marks."""

from __future__ import annotations

from collections.abc import Sequence

from parity.bench import table
from parity.bench.model import Bench, Cell, Figure, Ratio
from parity.bench.table import COLUMNS, number

BEGIN = "<!-- parity bench: begin -->"
END = "<!-- parity bench: end -->"
SHOWN_RATIOS = ("requests_per_s", "p50_ms", "cpu_ms", "first_ms", "chunks_per_s")


class PageError(Exception):
    """Reports a page that the tables can't be put into."""


def places(fits: bool, endurance: bool) -> tuple[str, ...]:
    """Return the names of the places that a run is put into: those of growth leave the other tables alone."""
    found = [name for name, asked in (("fits", fits), ("endurance", endurance)) if asked]
    return tuple(found) or ("",)


def marks(place: str) -> tuple[str, str]:
    """Return the two marks of a place."""
    name = f"parity bench {place}" if place else "parity bench"
    return BEGIN.replace("parity bench", name), END.replace("parity bench", name)


def check(text: str, wanted: Sequence[str] = ("",)) -> None:
    """Raise `PageError` where a page has no place for the tables."""
    for begin, end in map(marks, wanted):
        if end not in text.partition(begin)[2]:
            raise PageError(f"has no {begin} and {end}, between which the tables would stand")


def page(text: str, bench: Bench) -> str:
    """Return a page with the tables of this run between its marks. Raises `PageError`."""
    wanted = places(bench.with_fits, bool(bench.endurance))
    check(text, wanted)
    for place in wanted:
        begin, end = marks(place)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n{_placed(bench, place)}\n{end}{after}"
    return text


def _placed(bench: Bench, place: str) -> str:
    if not place:
        return render(bench)
    if place == "fits":
        parts = [_machine(bench), _fits(bench), _left_out(bench)]
    else:
        parts = [_machine(bench, rounds=False), _endurance(bench)]
    return "\n\n".join(part for part in parts if part) + "\n"


def render(bench: Bench) -> str:
    """Render machine, subjects, figures, ratios, fits, endurance, and what is stable."""
    parts = [_machine(bench), _subjects(bench)]
    parts += [_workload(bench, workload.name, workload.title) for workload in bench.workloads]
    parts += [_ratios(bench), _fits(bench), _endurance(bench), _stability(bench), _left_out(bench)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rows(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---", *("---:" for _ in heading[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine(bench: Bench, rounds: bool = True) -> str:
    """Say where it was measured, and how; an endurance has no rounds."""
    machine, settings = bench.machine, bench.settings
    memory = "" if machine.memory_gb is None else f", {machine.memory_gb:g} GB"
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    lines = [
        f"Measured {bench.made[:10]} by `{bench.command}`: {machine.cpu}, {machine.cores} cores{memory}, "
        f"{machine.system}, Python {machine.python}, {versions}."
    ]
    if rounds:
        lines[0] += (
            f" {settings.rounds} rounds of {settings.seconds:g} s, each after {settings.warm_up:g} s that don't count; "
            "medians of the rounds."
        )
    return "\n\n".join([*lines, *(f"Note: {problem}." for problem in bench.problems)])


def _subjects(bench: Bench) -> str:
    rows = []
    for one in bench.subjects:
        values = (one.cold_start_s, one.install_mb, one.rest_mb, one.peak_mb)
        shown = ["–" if value is None else number(value) for value in values]
        rows.append([f"`{one.name}`", one.title, one.version, *shown])
    heading = [
        "subject",
        "",
        "version",
        "cold start, s",
        "installed, MB",
        "memory at rest, MB",
        "at most, MB",
    ]
    return _rows(heading, rows)


def _workload(bench: Bench, name: str, title: str) -> str:
    parts = [f"### `{name}`: {title}"]
    places = dict.fromkeys((c.load, c.connections, c.rate) for c in bench.cells if c.workload == name)
    for load, connections, rate in places:
        cells = [c for c in bench.cells if (c.workload, c.load, c.connections) == (name, load, connections)]
        if rows := _cells([cell for cell in cells if cell.figures]):
            many = f"{connections} connection{'s' if connections > 1 else ''}"
            parts += [many if load == "closed" else f"Open loop, {rate:g} requests/s due:", rows]
    return "\n\n".join(parts) if len(parts) > 1 else ""


def _cells(cells: Sequence[Cell]) -> str:
    if not cells:
        return ""
    names = [name for name in COLUMNS if any(name in cell.figures for cell in cells)]
    rows = []
    for cell in cells:
        shown = [_figure(cell.figures.get(name)) for name in names]
        if cell.lower_bound:
            shown[0] = f"≥ {shown[0]}"
        rows.append([f"`{cell.subject}`", *shown])
    return _rows(["subject", *(COLUMNS[name] for name in names)], rows)


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return f"{number(figure.median)} ±{figure.spread / 2:.0%}"


def _ratios(bench: Bench) -> str:
    wanted: dict[tuple[str, str, int], dict[str, Ratio]] = {}
    for one in bench.ratios:
        if one.load == "closed" and one.figure in SHOWN_RATIOS and one.against != "direct":
            wanted.setdefault((f"`{one.subject}` : `{one.against}`", one.workload, one.connections), {})[
                one.figure
            ] = one
    ours = {place: found for place, found in wanted.items() if place[0].startswith(("`binary", "`sdk"))}
    if not ours:
        return ""
    names = [name for name in SHOWN_RATIOS if any(name in found for found in ours.values())]
    rows = []
    for (pair, workload, connections), found in sorted(ours.items()):
        shown = [_ratio(found.get(name)) for name in names]
        rows.append([pair, workload, str(connections), *shown])
    heading = ["ratio", "workload", "connections", *(COLUMNS[name].removesuffix(" ms") for name in names)]
    return "### Ratios\n\n" + _rows(heading, rows)


def _ratio(one: Ratio | None) -> str:
    if one is None:
        return "–"
    if one.low is None or one.high is None:
        return f"{one.ratio:.2f}"
    return f"{one.ratio:.2f} ({one.low:.2f}–{one.high:.2f})"


def _fits(bench: Bench) -> str:
    return _noted("Straight lines", table.fit_rows(bench), table.fit_notes(bench))


def _endurance(bench: Bench) -> str:
    return _noted("Endurance", table.endurance_rows(bench), table.endurance_notes(bench))


def _noted(heading: str, rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """Write a section of a table and what has to be said of it; nothing where there is neither."""
    if not (rows or notes):
        return ""
    quoted = [[f"`{row[0]}`", *row[1:]] for row in rows[1:]]
    parts = [f"### {heading}", _rows(rows[0], quoted) if rows else ""]
    parts += [note.replace("|", "¦") for note in notes]
    return "\n\n".join(part for part in parts if part)


def _stability(bench: Bench) -> str:
    if not bench.stability:
        return ""
    rows = [
        [COLUMNS.get(one.figure, one.figure), f"{one.spread:.1%}", "yes" if one.gate else "no", one.why]
        for one in bench.stability
    ]
    heading = ["figure", "quartiles apart, in nine of ten cells", "stable enough for a gate", "why"]
    return "### Spread\n\n" + _rows(heading, rows)


def _left_out(bench: Bench) -> str:
    """Say what has no number, and why; one line for cells of one reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in bench.cells:
        if cell.state == "INCOMPLETE":
            reason = " ".join(cell.reason.split()).replace("|", "¦")[:200]
            found.setdefault((cell.subject, reason), []).append(cell.workload)
    lines = [
        f"- `{subject}`, {', '.join(dict.fromkeys(workloads))}: {reason}"
        for (subject, reason), workloads in found.items()
    ]
    return "### INCOMPLETE\n\n" + "\n".join(lines) if lines else ""
