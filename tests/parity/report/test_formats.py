"""What holds of every format: made of the JSON alone, and nothing in an observation is obeyed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from parity import report
from parity.judging.ledger import Ledger
from parity.judging.verdict import judge
from parity.observation.model import Exchange
from parity.report.evidence import LARGEST, collect
from parity.report.reading import ReportError, read
from parity.report.schema import Report, build, unseen_in
from parity.report.trend import trend
from parity.support.files import write_text_atomic
from parity.targets.client import read_response
from tests.parity.builders import divergence, observation, scenario
from tests.parity.report.verdicts import HALF, HOSTILE, UNPRINTABLE, full, hostile, passing

FORMATS = pytest.mark.parametrize("name", list(report.FORMATS))
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def nasty() -> Report:
    """A run whose every text is hostile, evidence included: markup, escapes, bidi, half a character, a megabyte."""
    text = HOSTILE + UNPRINTABLE + "\x9b31m\u2066" + "</script><!--<script>" + "\r"
    scenarios = [scenario("chat.x", json={"text": HOSTILE})]
    seen = [
        observation(
            "chat.x", target, json={"text": text + HALF + target, text: text}, headers={"x": text + target}
        )
        for target in ("binary", "sdk")
    ]
    seen[1].exchanges[0].response.headers["big"] = text * 20_000  # type: ignore[union-attr]
    verdict = judge(
        [("chat.x", t) for t in ("binary", "sdk")], seen, scenarios, Ledger(), "mocked", problems=[text]
    )
    return build(verdict, catalogue=text, versions={"sdk": {text: text}}, evidence=collect(scenarios, seen))


MADE: dict[str, Callable[[], Report]] = {"full": full, "passing": passing, "hostile": hostile, "nasty": nasty}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_every_format_comes_of_the_json_alone(tmp_path: Path, made: Callable[[], Report]) -> None:
    """Read back, a report makes the same bytes in every format, its own JSON included."""
    one = made()
    write_text_atomic(tmp_path / "report.json", report.FORMATS["json"](one))
    for again in (read(tmp_path), read(tmp_path / "report.json")):
        for render in report.FORMATS.values():
            assert render(again) == render(one)


@FORMATS
def test_nothing_in_an_observation_is_obeyed(name: str) -> None:
    """No control character, no escape of a terminal, no turned writing, and no markup outside of JSON and text."""
    text = report.FORMATS[name](nasty())
    assert OBEYED.findall(text) == []
    if name in ("html", "markdown", "badge", "junit"):
        bare = re.sub(r"\\.|(`+).*?\1(?!`)", "", text) if name == "markdown" else text
        assert "<img" not in bare
        assert "<script>alert" not in bare
    if name in ("junit", "badge"):
        ET.fromstring(text)
    if name in ("json", "sarif"):
        json.loads(text)
    if name == "jsonl":
        assert [json.loads(line)["kind"] for line in text.splitlines()] == ["report", "scenario"]
    if name in ("html", "markdown", "terminal", "badge", "sarif", "junit"):
        assert len(text) < 30 * LARGEST


def test_markdown_fits_a_pull_request() -> None:
    """Also that of a run in which everything fails: hosts cut a comment at 65,536 characters."""
    seen = [
        observation(f"chat.n{number}", target, json={f"k{key}": f"{target} {key} " * 90 for key in range(9)})
        for number in range(90)
        for target in ("binary", "sdk")
    ]
    scenarios = [scenario(f"chat.n{number}") for number in range(90)]
    cells = [(o.scenario, o.target) for o in seen]
    one = build(judge(cells, seen, scenarios, Ledger(), "mocked"), catalogue="", versions={})
    text = report.FORMATS["markdown"](one)
    assert len(text) < 65_000
    assert "more, in the JSON report" in text


def test_what_a_tier_cannot_see_is_said_by_clause() -> None:
    """Scenarios and ledger entries of the other tier alone, with the command that shows them, wherever people read."""
    ledger = Ledger(entries=(divergence("chat.jar", tiers=["live"], clause="cookies.jar"), divergence()))
    scenarios = [scenario(), scenario("chat.jar", tiers=("live",))]
    found = unseen_in("mocked", scenarios, ledger)
    assert [(one.clause, one.scenarios, one.entries) for one in found] == [
        ("cookies.jar", (), 1),
        ("some.clause", ("chat.jar",), 0),
    ]
    one = passing().model_copy(update={"unseen": tuple(found)})
    for name in ("html", "markdown", "terminal"):
        text = report.FORMATS[name](one)
        assert "parity run --tier live" in text
    for name in ("html", "markdown"):
        assert "cookies.jar" in report.FORMATS[name](one)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "can't be read"),
        ("{", "no JSON"),
        ("[]", "not a report of format 2; give a report.json"),
        ('{"parity_report": 1}', "of 1; make it again"),
        ('{"parity_report": 2}', "Field required"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    """With the file's name and what would be right."""
    file = tmp_path / "report.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ReportError, match=re.escape(said)) as caught:
        read(tmp_path)
    assert str(file) in str(caught.value)


def test_a_trend_says_what_changed() -> None:
    """Versions, scenarios that came and went, verdicts that changed, causes that came and went."""
    text = trend([("old", passing()), ("new", full()), ("same", full())])
    assert "sdk: litellm unknown → 1.106.2" in text
    assert "new scenarios (5): auth.leak, chat.nasty" in text
    assert "divergence occurs now: LiteLLM does so." in text
    assert text.endswith("new → same\n  nothing changed")
    back = trend([("old", full()), ("new", passing())])
    assert "gone (5)" in back
    assert "divergence no longer occurs" in back


def test_a_trend_names_what_fails_now() -> None:
    """A scenario that was identical and fails is named with both words; another tier is said."""
    seen = [observation(target=t, json={"a": t}) for t in ("binary", "sdk")]
    cells = [("chat.plain", o.target) for o in seen]
    failing = build(judge(cells, seen, [scenario()], Ledger(), "mocked"), catalogue="", versions={})
    assert "identical → fails (unexplained) (1): chat.plain" in trend([("a", passing()), ("b", failing)])
    live = build(judge([], [], [], Ledger(), "live"), catalogue="", versions={})
    assert "not the same tier" in trend([("a", passing()), ("b", live)])


def test_a_badge_says_the_verdict() -> None:
    """In its text, for whoever can't tell the colours."""
    assert "parity mocked: 1 identical, 0 explained" in report.FORMATS["badge"](passing())
    assert "incomplete" in report.FORMATS["badge"](full())


@FORMATS
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/event-stream"])
def test_bytes_that_are_no_utf_8_are_shown_as_such(name: str, kind: str, tmp_path: Path) -> None:
    """An answer of any kind that can't be decoded makes a report all the same, one that is UTF-8 and obeys nothing."""
    content = b'data: {"a": "\xff\xfe\xc3(\x1b[31m<script>alert(1)</script>"}\n\n'
    seen = []
    for target in ("binary", "sdk"):
        answer = httpx.Response(200, headers={"content-type": kind}, content=content + target.encode())
        exchange = Exchange(method="POST", path="/", response=asyncio.run(read_response(answer)))
        seen.append(observation("chat.x", target, exchanges=[exchange]))
    cells = [("chat.x", one.target) for one in seen]
    scenarios = [scenario("chat.x", status=201)]
    verdict = judge(cells, seen, scenarios, Ledger(), "mocked")
    made = build(verdict, catalogue="", versions={}, evidence=collect(scenarios, seen))
    write_text_atomic(tmp_path / name, report.FORMATS[name](made))
    text = (tmp_path / name).read_bytes().decode()
    assert OBEYED.findall(text) == []
    if name in ("html", "junit", "badge"):
        assert "<script>alert" not in text
