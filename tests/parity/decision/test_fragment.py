"""The decision as HTML and Markdown: the numbers of the files, inert, and accessible."""

from __future__ import annotations

import re
from fractions import Fraction
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from parity.decision import fragment, markdown, plots
from parity.decision.deciding import decide, number
from parity.decision.factors import KINDS
from parity.decision.model import ARMS
from parity.measuring.model import Benched
from tests.parity.decision.parts import bench, measured, soak, source
from tests.parity.decision.test_deciding import loss, matrix

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e|`*"
WEIGHTS = dict.fromkeys(KINDS, Fraction(1))


def parts() -> dict:
    figures = {"p50_ms": 4.25, "p90_ms": 5.0, "p99_ms": 9.0, "requests_per_s": 100.0, "first_ms": 7.0}
    slower = {name: value * 2 for name, value in figures.items()}
    return {
        "source": source(),
        "soak": soak(),
        "live": matrix(binary=[loss("degraded")]),
        "bench": measured(Benched(bench=bench(binary=figures, sdk=slower))),
        "faults": measured(None, part="faults", problem="it wasn't to be"),
    }


class Cells(HTMLParser):
    """The text of each row of the table of factors."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, str] = {}
        self._row = ""

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "tr":
            self._row = dict(attrs).get("id") or ""

    def handle_data(self, data: str) -> None:
        if self._row:
            self.rows[self._row] = f"{self.rows.get(self._row, '')} {data.strip()}".strip()

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._row = ""


def test_the_page_has_the_numbers_of_the_files() -> None:
    """Each factor's row has both values as they were measured, its weight, and the weight at which it turns."""
    decision = decide(parts(), WEIGHTS, "w.yaml")
    cells = Cells()
    cells.feed(fragment.page(decision, parts()))
    assert len(cells.rows) == len(KINDS)
    for weighed in decision.factors:
        row = cells.rows[f"factor-{weighed.factor.name}"]
        if weighed.factor.values is None:
            assert "not measured" in row
            continue
        for arm in ARMS:
            assert number(weighed.factor.values[arm]) in row
        assert weighed.flip is None or number(weighed.flip) in row
    assert decision.sentence in re.sub(r"&#39;", "'", fragment.section(decision, parts()))


def test_evidence_is_one_click_away() -> None:
    """What a row links to is there: the command, and when it was measured, or why it wasn't."""
    text = fragment.section(decide(parts(), WEIGHTS, "w"), parts())
    for target in re.findall(r'href="#([^"]+)"', text):
        assert f'id="{target}"' in text
    assert "not measured: it wasn&#39;t to be" in text


def test_plots_are_told_to_who_cannot_see_them() -> None:
    """Each plot is XML with a title and a description that has its numbers, and names its lines in words."""
    drawn = plots.all_of(parts())
    titles = []
    for svg in drawn:
        root = ET.fromstring(svg)
        ids = root.attrib["aria-labelledby"].split()
        found = {child.attrib["id"]: child.text or "" for child in root if "id" in child.attrib}
        assert set(ids) == set(found)
        titles.append(found[ids[0]])
        assert all(arm in found[ids[1]] and arm in [t.text for t in root.iter("text")] for arm in ARMS)
    assert titles == ["Latency of a small chat", "Throughput over connections", "Memory over time"]
    assert plots.all_of({}) == []
    assert plots.plot("None", "x", "y", {"binary": []}) == ""


def test_names_at_the_ends_of_lines_do_not_cover_each_other() -> None:
    """Lines that end at the same place have their names one below the other."""
    svg = plots.plot("Same", "x", "y", {"binary": [(0, 1), (1, 1)], "sdk": [(0, 1), (1, 1)]})
    one, other = re.findall(r'y="(\d+)" text-anchor="start" class="name', svg)
    assert abs(int(one) - int(other)) >= 13


def test_hostile_text_is_inert() -> None:
    """Nothing from a file becomes markup, a control character or a table's edge."""
    hostile = {
        **parts(),
        "live": matrix(binary=[loss("broken").model_copy(update={"notices": HOSTILE, "clause": HOSTILE})]),
        "faults": measured(None, part="faults", problem=HOSTILE, command=HOSTILE),
    }
    decision = decide(hostile, WEIGHTS, HOSTILE)
    page = fragment.page(decision, hostile)
    assert "<script" not in page
    assert not {"\x1b", "\u202e"} & set(page)
    assert "\\|" not in page
    text = markdown.render(decision)
    assert "<script" not in MarkdownIt("commonmark").enable("table").render(text)
    assert not {"\x1b", "\u202e"} & set(text)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("all `/v1/` routes", "<p>all <code>/v1/</code> routes</p>"),
        ("`<b>`, <b>", "<p><code>&lt;b&gt;</code>, &lt;b&gt;</p>"),
        ("a ` *lone* one", "<p>a ` *lone* one</p>"),
        ("`a|b` `c`", "<p>`a|b` <code>c</code></p>"),
        ("`` `c` ``", "<p>`` <code>c</code> ``</p>"),
    ],
)
def test_a_word_of_code_is_code_and_nothing_else_acts(text: str, html: str) -> None:
    assert MarkdownIt().render(markdown._text(text)).strip() == html


def test_markdown_is_a_page_that_is_written_again() -> None:
    """Date, versions, the machine's kind, every factor and the command are in it; equal decisions make equal bytes."""
    decision = decide(parts(), WEIGHTS, "w.yaml")
    text = markdown.render(decision)
    assert text == markdown.render(decide(parts(), WEIGHTS, "w.yaml"))
    for said in (
        "2026-11-25T20:00:00+00:00",
        "litellm 1.106.2",
        "2 cores",
        "a CPU",
        "`w.yaml`",
        "not measured",
    ):
        assert said in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(KINDS) + 2 + 4
    assert "Measured" not in markdown.render(decide({}, WEIGHTS, "w"))


def test_the_sentence_is_put_between_its_marks() -> None:
    """Whatever stood there goes; a page without the marks, or with two pairs, is refused."""
    decision = decide(parts(), WEIGHTS, "w")
    page = "a\n<!-- decision -->\nBEFORE\n<!-- /decision -->\nb\n"
    text = markdown.inserted(page, decision)
    assert text.startswith("a\n<!-- decision -->\n> ")
    assert text.endswith("<!-- /decision -->\nb\n")
    assert "BEFORE" not in text
    assert "(2026-11-25, LiteLLM 1.106.2)" in text
    assert markdown.inserted(text, decision) == text
    for wrong in ("none", page + page):
        with pytest.raises(markdown.MarkError, match="once each"):
            markdown.inserted(wrong, decision)
