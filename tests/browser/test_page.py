"""What the report's page does in a browser: `tox -e browser`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parity.judging.ledger import Ledger
from parity.judging.verdict import judge
from parity.observation.model import UpstreamCall
from parity.report import html
from parity.report.evidence import collect
from parity.report.schema import Report, build
from tests.parity.builders import observation, scenario, stream
from tests.parity.report.test_formats import nasty
from tests.parity.report.verdicts import full

pytestmark = pytest.mark.browser
Open = Callable[..., Any]
ID = "chatcmpl-00000001-0000-4000-8000-000000000000"
SENTENCE = "It is a rather long sentence in which a single word, {}, is another one than on the other side."


def run(tier: str = "mocked", body: Any = None) -> Report:
    """A run of four scenarios: one alike, one that differs in a word, one in its frames, one in what went out."""
    scenarios = [scenario(name, stream={}) for name in ("chat.words", "streaming.frames")]
    scenarios += [scenario("auth.alike"), scenario("routing.out")]
    seen = []
    for target in ("binary", "sdk"):
        words = {"id": ID, "said": SENTENCE.format(target), "body": body}
        cut = ("hel", "lo") if target == "sdk" else ("h", "el", "lo")
        call = UpstreamCall(route="chat/completions", body={"model": "m", "user": target})
        seen += [
            observation("auth.alike", target, tier=tier, json={"id": ID, "ok": True}),
            observation("chat.words", target, tier=tier, json=words),
            observation("routing.out", target, tier=tier, upstream=[call]),
            observation("streaming.frames", target, tier=tier, stream=stream(*cut)),
        ]
    cells = [(o.scenario, o.target) for o in seen]
    verdict = judge(cells, seen, scenarios, Ledger(), tier)
    return build(verdict, catalogue="ab" * 32, versions={}, evidence=collect(scenarios, seen))


def shown(page: Any) -> list[str]:
    return page.eval_on_selector_all("tbody[id]:not([hidden])", "all => all.map(one => one.id)")


def test_a_link_opens_a_scenario_with_both_sides(opened: Open) -> None:
    """By its address: request, both answers with the words that differ, what was masked, and the command."""
    page = opened(html.render(run()), "#chat.words")
    view = page.locator(".observed")
    page.wait_for_selector(".observed")
    assert view.count() == 1
    page.wait_for_function("document.activeElement.className === 'observed'")
    assert view.locator("mark").all_inner_texts()[:2] == ["binary", "sdk"]
    assert view.locator("pre del").all_inner_texts() == [f'"{ID}"'] * 2
    assert view.locator("pre ins").all_inner_texts() == ['"chatcmpl-<id:1>"'] * 2
    assert "parity show 'chat.words'" in view.inner_text()
    assert "the request" in view.inner_text()


def test_a_stream_is_a_timeline_with_a_lane_for_each_side(opened: Open) -> None:
    """Frames that both have stand in one row; those of one side alone are marked."""
    page = opened(html.render(run()), "#streaming.frames")
    page.wait_for_selector(".observed")
    rows = page.locator(".frames tbody tr")
    texts = [row.locator("td").all_inner_texts() for row in rows.all()]
    assert len(texts[-1]) == 2
    assert texts[-1][0] == texts[-1][1]
    assert page.locator(".frames tr.differs").count() == 3


def test_what_went_out_stands_beside_what_came_in(opened: Open) -> None:
    """The request first, then what each side sent upstream, the member that differs marked."""
    page = opened(html.render(run()), "#routing.out")
    page.wait_for_selector(".observed")
    box = page.locator(".observed h5:has-text('What went out') + dl")
    assert [text.split(",")[0] for text in box.locator("dt").all_inner_texts()] == [
        "came in",
        "binary",
        "sdk",
    ]
    assert box.locator("mark").all_inner_texts() == ["binary", "sdk"]


def test_filter_search_sort_and_only_differences(opened: Open) -> None:
    """Each alone, kept in the address, which opens the same list again."""
    text = html.render(run())
    page = opened(text)
    everything = ["auth.alike", "chat.words", "routing.out", "streaming.frames"]
    assert shown(page) == everything
    page.get_by_label("Only differences").check()
    assert "auth.alike" not in shown(page)
    page.get_by_label("Text").fill("words")
    assert shown(page) == ["chat.words"]
    fragment = page.evaluate("location.hash")
    assert shown(opened(text, fragment)) == ["chat.words"]
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("document.querySelectorAll('tbody[id]:not([hidden])').length === 4")
    page.get_by_label("State").select_option("identical")
    assert "auth.alike" in shown(page)
    assert "chat.words" not in shown(page)


def test_the_worst_comes_first_when_asked(opened: Open) -> None:
    """Within its theme, and by name again afterwards."""
    scenarios = [scenario(f"chat.{name}") for name in ("a", "b")]
    seen = [
        observation(s.id, t, json={"x": t if s.id == "chat.b" else 1})
        for s in scenarios
        for t in ("binary", "sdk")
    ]
    verdict = judge([(o.scenario, o.target) for o in seen], seen, scenarios, Ledger(), "mocked")
    page = opened(html.render(build(verdict, catalogue="", versions={})))
    page.get_by_label("Sort").select_option("worst")
    assert shown(page) == ["chat.b", "chat.a"]
    page.get_by_label("Sort").select_option("")
    assert shown(page) == ["chat.a", "chat.b"]


def test_keys_are_enough(opened: Open) -> None:
    """A slash leads to the search, tab and enter open a scenario, escape closes it and leads back to its link."""
    page = opened(html.render(run()))
    page.keyboard.press("/")
    page.keyboard.type("words")
    assert shown(page) == ["chat.words"]
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "#chat.words":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector(".observed")
    page.keyboard.press("Escape")
    assert page.locator(".observed").count() == 0
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#chat.words"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_everybody_can_read_it(opened: Open, scheme: str, width: int) -> None:
    """axe finds no violation, with everything open, and nothing is wider than the screen."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="`tox -e browser` brings axe")
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}, "bypass_csp": True}
    for text in (html.render_all([run(), run("live")]), html.render(full())):
        page = opened(text, "#chat.words", **options)
        if "data-of=" in text.split("<script")[1]:
            page.wait_for_selector(".observed")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        found = axe.Axe().run(page).response["violations"]
        told = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found]
        assert told == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [390, 1280])
def test_frames_have_the_room(opened: Open, width: int) -> None:
    """Most of the width is theirs, and not their numbers'; a column's heading stands above it on any screen."""
    page = opened(html.render(run()), "#streaming.frames", viewport={"width": width, "height": 900})
    page.wait_for_selector(".frames")
    cells = (
        "[...document.querySelectorAll('.frames tr:first-child > *')].map(one => one.getBoundingClientRect())"
    )
    number, *heads, first, one, other = page.evaluate(cells)
    assert [head["left"] for head in (number, *heads)] == [cell["left"] for cell in (first, one, other)]
    assert first["width"] < 100 < one["width"]
    assert one["width"] + other["width"] > 3 * first["width"]


def test_nothing_hostile_runs(opened: Open) -> None:
    """Markup and escapes in any observation stay text, in the list and in the evidence."""
    page = opened(html.render(nasty()), "#chat.x")
    page.wait_for_selector(".observed")
    view = page.locator(".observed")
    assert view.locator("img, script").count() == 0
    assert "<script>alert(1)</script>" in view.inner_text()
    assert "\\u202e" in view.inner_text()


def test_fifteen_hundred_scenarios_with_large_bodies_open_in_two_seconds(opened: Open) -> None:
    """The list is usable by then, and any scenario opens."""
    one = run(body="large " * 2700)
    [words] = [s for s in one.verdict.scenarios if s.id == "chat.words"]
    names = [f"chat.words{number:04}" for number in range(1500)]
    copies = tuple(words.model_copy(update={"id": name}) for name in names)
    many = one.model_copy(
        update={
            "verdict": one.verdict.model_copy(update={"scenarios": copies}),
            "evidence": dict.fromkeys(names, one.evidence["chat.words"]),
        }
    )
    text = html.render(many)
    page = opened("<p>")
    meter = page.context.new_cdp_session(page)
    # The page's own work, whatever else the machine does.
    meter.send("Performance.enable", {"timeDomain": "threadTicks"})
    page = opened(text, "#chat.words0000", page=page)
    page.wait_for_selector(".observed")
    spent = {one["name"]: one["value"] for one in meter.send("Performance.getMetrics")["metrics"]}
    assert 0.05 < spent["TaskDuration"] < 2
