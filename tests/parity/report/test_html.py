from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from markupsafe import Markup

from parity.judging.ledger import Ledger
from parity.judging.verdict import judge
from parity.report import rows
from parity.report.html import render, render_all
from parity.report.schema import Report, build
from tests.parity.builders import divergence, observation, scenario
from tests.parity.report.verdicts import HOSTILE, full, hostile, passing

VOID = {"meta", "link", "input", "img", "br"}
PHRASING = {"a", "b", "code", "span", "i"}
POLICY = re.compile(r"(?P<name>style|script)-src '(?P<hash>sha256-[^']+)'")


class Element:
    def __init__(self, tag: str, attributes: dict[str, str], parent: Element | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Element | str] = []

    def all(self, tag: str = "", of: str = "") -> list[Element]:
        """Every element below, by tag and class."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                classes = child.attributes.get("class", "").split()
                if tag in ("", child.tag) and (not of or of in classes):
                    found.append(child)
                found += child.all(tag, of)
        return found

    def by_id(self, name: str) -> Element:
        [found] = [e for e in self.all() if e.attributes.get("id") == name]
        return found

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


class Tree(HTMLParser):
    """Reads a page strictly: an element that isn't closed where it should be is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Element("", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert self.at.tag != "p" or tag in PHRASING, f"<{tag}> ends the <p> around it"
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        assert len(element.attributes) == len(attrs), f"an attribute of <{tag}> is there twice"
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parsed(report: Report) -> Element:
    tree = Tree()
    tree.feed(render(report))
    tree.close()
    assert tree.at is tree.root
    return tree.root


def many(count: int, size: int) -> Report:
    """A run in which everything fails: `count` scenarios, in each 60 long values that differ."""
    seen = [
        observation(target=t, json={f"k{key}": f"{t} {key} " + '"' * size for key in range(60)})
        for t in ("binary", "sdk")
    ]
    cells = [("chat.plain", o.target) for o in seen]
    report = build(judge(cells, seen, [scenario()], Ledger(), "mocked"), catalogue="", versions={})
    [one] = report.verdict.scenarios
    copies = tuple(one.model_copy(update={"id": f"chat.n{number:04}"}) for number in range(count))
    return report.model_copy(update={"verdict": report.verdict.model_copy(update={"scenarios": copies})})


MADE: dict[str, Callable[[], Report]] = {
    "full": full,
    "passing": passing,
    "hostile": hostile,
    "many": lambda: many(60, 5),
}
REPORTS = pytest.mark.parametrize("page", MADE, indirect=True)


@cache
def page_of(name: str) -> Element:
    """Render one of the reports and read its page, once for all tests."""
    return parsed(MADE[name]())


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Element:
    return page_of(request.param)


def test_the_verdict_comes_first() -> None:
    """Word and whole line stand before everything else."""
    assert page_of("full").all("h1")[0].words.startswith("incomplete The run isn’t whole")
    assert (
        page_of("passing").all("h1")[0].words == "pass binary and sdk show no difference that isn’t explained"
    )
    [line] = page_of("full").all("p", "line")
    assert line.words == full().verdict.line


@REPORTS
def test_the_page_needs_nothing_else(page: Element) -> None:
    """No address in it leads anywhere but to the page itself, in no attribute and no style."""
    for element in page.all():
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert element.attributes.get(name, "#").startswith("#") or element.attributes[name] == "data:,"
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"]
    [style] = page.all("style")
    assert not re.search(r"url\(|@import|http", style.text)


@REPORTS
def test_a_browser_runs_nothing_else(page: Element) -> None:
    """The page's policy allows its own style and script by their digests, and nothing by default."""
    [policy] = [m.attributes["content"] for m in page.all("meta") if "http-equiv" in m.attributes]
    assert policy.startswith("default-src 'none'; ")
    allowed = {found["name"]: found["hash"] for found in POLICY.finditer(policy)}
    for tag in ("style", "script"):
        [element] = page.all(tag)
        digest = hashlib.sha256(element.text.encode()).digest()
        assert allowed[tag] == f"sha256-{base64.b64encode(digest).decode()}"


@REPORTS
def test_every_link_arrives(page: Element) -> None:
    """Anchors are unique, hold no blank, and there is one for each link."""
    ids = [e.attributes["id"] for e in page.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert not [name for name in ids if re.search(r"[\s<>&\"']", name)]
    links = [unquote(a.attributes["href"].removeprefix("#")) for a in page.all("a")]
    assert set(links) <= set(ids)


@REPORTS
def test_tables_have_headers(page: Element) -> None:
    """Every column and every row of every table says what it is to whoever can't see the page."""
    for table in page.all("table"):
        heads = [th.attributes["scope"] for th in table.all("thead")[0].all("th")]
        assert heads == ["col"] * len(heads)
        for row in table.all("tr")[1:]:
            if row.attributes.get("class") == "detail":
                assert row.all("td")[0].attributes["colspan"] == str(len(heads))
            else:
                first = next(child for child in row.children if isinstance(child, Element))
                assert (first.tag, first.attributes["scope"]) == ("th", "row")
                assert len([c for c in row.children if isinstance(c, Element)]) == len(heads)


def test_a_scenario_has_its_own_address() -> None:
    """Its id, which a link can carry: it doesn't change with what else ran."""
    row = page_of("full").by_id("errors.status[429]")
    assert row.all("a")[0].attributes["href"] == "#errors.status[429]"
    assert [td.words for td in row.all("tr")[0].all("td")] == ["excused", "met", "explained"]
    assert row.attributes["data-state"] == "explained excused met"


def test_ids_that_look_alike_keep_apart() -> None:
    """What a fragment can't hold is replaced, and no two scenarios share an address for that."""
    page = parsed(hostile())
    rows = {e.attributes["id"]: e.all("code")[0].text for e in page.all("tbody") if "id" in e.attributes}
    assert {rows["chat.x[a_b]"], rows["chat.x[a_b].2"], rows["chat.x[a_b].3"]} == {
        "chat.x[a b]",
        "chat.x[a_b]",
        "chat.x[a<b]",
    }


def test_themes_are_counted() -> None:
    """Scenarios, cells, ok by target, and parity; the last row is the sum."""
    rows = [
        [c.words for c in tr.children if isinstance(c, Element)]
        for tr in page_of("full").all("table", "matrix")[0].all("tr")
    ]
    assert rows[0][:5] == ["theme", "scenarios", "cells", "binary ok", "sdk ok"]
    assert rows[1:] == [
        ["auth", "1", "2", "1/1", "1/1", "0", "0", "1"],
        ["chat", "2", "4", "1/2", "1/2", "1", "0", "1"],
        ["errors", "2", "4", "2/2 1 excused", "1/2", "0", "1", "0"],
        ["streaming", "1", "2", "1/1 1 excused", "1/1 1 excused", "0", "0", "1"],
        ["all", "6", "12", "5/6 2 excused", "4/6 1 excused", "1", "1", "3"],
    ]


def test_a_known_divergence_says_who_is_right_why_and_how_it_is_known() -> None:
    """Reason, clause, version, both values, the scenarios and the probe, under the name of who keeps the contract."""
    [card] = [c for c in page_of("full").all("article", "explained") if "divergence" in c.words]
    heading = [h.words for h in page_of("full").all("h3") if h.attributes.get("id", "").startswith("right-")]
    assert heading == ["sdk keeps the contract, binary doesn’t", "Both fall short"]
    for part in (
        "LiteLLM does so.",
        "clause some.clause",
        "LiteLLM >=1.106.2",
        "response header $.exchanges[0].response.headers['retry-after']",
        "binary breaks the contract, excused",
        "sdk keeps the contract",
        "nothing there",
        '"7"',
        "errors.status[429]",
        "curl -H 'authorization: ***'",
    ):
        assert part in card.words


def test_a_difference_is_shown_side_by_side() -> None:
    """Under its scenario: path, each target's value, the wanted one, and a link to the ledger's reason."""
    row = page_of("full").by_id("errors.status[429]")
    assert [dt.words for dt in row.all("dt")] == [
        "binary breaks the contract, excused",
        "sdk keeps the contract",
        "the contract wants",
    ]
    assert [dd.words for dd in row.all("dd")] == ["nothing there", '"7"', '"7"']
    [why] = row.all("p", "why")
    assert why.words == "divergence LiteLLM does so."
    assert page_of("full").by_id(why.all("a")[0].attributes["href"].removeprefix("#")).tag == "article"


def test_only_what_is_alike_in_part_is_marked() -> None:
    """The part of a value that differs stands out by more than colour."""
    seen = [observation(target=t, json={"text": f"the provider of {t} is away"}) for t in ("binary", "sdk")]
    verdict = judge([("chat.plain", o.target) for o in seen], seen, [scenario()], Ledger(), "mocked")
    page = parsed(build(verdict, catalogue="", versions={}))
    assert {mark.text for mark in page.by_id("chat.plain").all("mark")} == {"binary", "sdk"}


def test_the_identical_is_one_row() -> None:
    """Nothing to open, nothing repeated."""
    assert [e.tag for e in page_of("full").by_id("chat.plain").all()].count("details") == 0
    assert not page_of("passing").all("section")[1].all("article")
    assert "None occurred in this run." in page_of("passing").all("main")[0].words


def test_what_fails_is_said_before_what_is_known() -> None:
    """Missing cells, problems, differences by path, stale entries; a page that passes has no such part."""
    headings = [h.words for h in page_of("full").all("h2")]
    assert headings == ["What fails", "Known divergences", "Themes", "Scenarios", "How it was compared"]
    assert "What fails" not in [h.words for h in page_of("passing").all("h2")]
    failing = next(
        s for s in page_of("full").all("section") if s.attributes["aria-labelledby"] == "failing"
    ).words
    assert "errors.gone on sdk: planned, but not reported" in failing
    assert "divergence of chat.plain at $.exchanges[0].response.json_body no longer occurs" in failing
    assert "unexplained response body $.exchanges[0].response.json_body.text" in failing


def test_a_missing_cell_is_named_in_its_scenario() -> None:
    """Though there is nothing to compare."""
    assert "missing sdk: planned, but not reported." in page_of("full").by_id("errors.gone").words


def test_a_run_may_fail_for_the_ledger_alone() -> None:
    """Then the headline says so."""
    seen = [observation(target=target) for target in ("binary", "sdk")]
    cells = [("chat.plain", "binary"), ("chat.plain", "sdk")]
    verdict = judge(cells, seen, [scenario()], Ledger(entries=(divergence(),)), "mocked")
    page = parsed(build(verdict, catalogue="", versions={}))
    assert page.all("h1")[0].words == "fail The ledger lists what no longer occurs"


def test_an_empty_run_has_a_page() -> None:
    """It says that nothing was planned."""
    page = parsed(build(judge([], [], [], Ledger(), "live"), catalogue="", versions={}))
    assert "nothing was planned" in page.words


def test_three_targets_fit() -> None:
    """Each has its columns; the first is compared with each other one."""
    seen = [observation(target=t, json={"a": n}) for n, t in enumerate(("old", "new", "next"))]
    verdict = judge(
        [("chat.plain", o.target) for o in seen], seen, [scenario(json={"a": 1})], Ledger(), "mocked"
    )
    page = parsed(build(verdict, catalogue="", versions={}))
    row = page.by_id("chat.plain")
    assert [td.words for td in row.all("tr")[0].all("td")] == ["broken", "met", "broken", "unexplained"]
    assert [dd.words for dd in row.all("dd")] == ["0", "1", "2", "1"]


def test_nothing_from_outside_is_markup() -> None:
    """Ids, titles, clauses, reasons, paths, keys and values are text, whatever they hold."""
    page = parsed(hostile())
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    body = page.all("main")[0].text
    for place in ("title", "value"):
        assert body.count(HOSTILE) > 5, place
    assert "\\u0000\\u001b[31m\\u202e\\uffff" in body
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800\uffff]", render(hostile()))


def test_equal_runs_make_equal_bytes() -> None:
    """Nothing of the clock or the machine is in it."""
    assert render(full()) == render(full())


def test_a_run_in_which_all_fails_still_fits() -> None:
    """The page stays below two megabytes; what was left out is counted."""
    report = many(450, 3000)
    text = render(report)
    assert len(text.encode()) < 2_000_000
    assert "more places, in report.json." in text
    assert text.count('class="place"') > 100


def test_what_fails_has_room_before_what_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full page the unexplained keep their values the longest."""
    monkeypatch.setattr(rows, "MOST_BYTES", 5000)
    page = parsed(full())
    assert page.by_id("auth.leak").all("dl")
    assert not page.by_id("errors.status[429]").all("dl")
    assert "… and 1 more place, in report.json." in page.by_id("errors.status[429]").words


def test_the_filter_waits_for_its_script() -> None:
    """Without a script there is no control that does nothing."""
    [form] = page_of("full").all("form")
    assert "hidden" in form.attributes
    assert [o.attributes.get("value", o.text) for o in form.all("select")[2].all("option")] == [
        "",
        "unexplained",
        "broken",
        "missing",
        "uncompared",
        "explained",
        "excused",
        "identical",
        "met",
    ]
    assert {d.attributes["data-theme"] for d in page_of("full").all("details", "theme")} == {
        o.text for o in form.all("select")[1].all("option")[1:]
    }


def test_a_decision_stands_first() -> None:
    """A section that is given is put before all that is known, with its style under the page's policy."""
    text = render_all(
        [passing()], Markup("<section id='choice'>sdk, unless</section>"), ".choice { color: red; }"
    )
    assert text.index("sdk, unless") < text.index("Known divergences</h2>")
    assert ".choice { color: red; }" in text
    tree = Tree()
    tree.feed(text)
    [policy] = [m.attributes["content"] for m in tree.root.all("meta") if "http-equiv" in m.attributes]
    digest = base64.b64encode(hashlib.sha256(tree.root.all("style")[0].text.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy


def test_both_tiers_fit_on_one_page() -> None:
    """Each has its columns and its numbers; a scenario that one of them lacks is a dot there."""
    seen = [observation(target=t, tier="live", json={"a": t}) for t in ("binary", "sdk")]
    cells = [("chat.plain", o.target) for o in seen]
    live = build(judge(cells, seen, [scenario()], Ledger(), "live"), catalogue="", versions={})
    tree = Tree()
    tree.feed(render_all([full(), live]))
    row = tree.root.by_id("chat.plain")
    assert [td.words for td in row.all("tr")[0].all("td")] == [
        *("met", "met", "identical"),
        *("met", "met", "unexplained"),
    ]
    assert [td.words for td in tree.root.by_id("errors.gone").all("tr")[0].all("td")][3:] == ["·"] * 3
    assert [h.words for h in tree.root.all("h2", "tier")] == ["mocked tier incomplete", "live tier fail"]
