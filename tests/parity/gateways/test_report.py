"""Verdicts on gateways as a page of their own, and in every format of the report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from parity.cli import main
from parity.commands import judge
from parity.gateways import html, judging
from parity.gateways import profile as profiles
from parity.gateways.judging import ClauseVerdict, GatewayVerdict, rules_for
from parity.gateways.process import GatewayError
from parity.gateways.profile import Profile
from parity.gateways.report import as_verdict
from parity.judging.contract import Violation
from tests.parity.builders import scenario
from tests.parity.gateways.test_table import BAD, GOOD

NASTY = "<script>alert(1)</script>"


def judged(name: str, *broken: str, **rest: Any) -> GatewayVerdict:
    """A verdict by two scenarios that look at one clause; `broken` are those in which it is."""
    found = {id_: [Violation(path="$.x", expected=1, actual=NASTY)] for id_ in broken}
    ids = ("chat.plain", "errors.retry_after[date]")
    values: dict[str, Any] = {
        "name": name,
        "title": name.title(),
        "about": NASTY,
        "version": "1",
        "applicable": 2,
        "flawless": 2 - len(broken),
        "not_applicable": {"needs a memory store": 1},
        "looked_at": dict.fromkeys(ids, ("chat.plain",)),
        "clauses": {"chat.plain": ClauseVerdict(level="api", checked=2, broken=found)},
    }
    return GatewayVerdict(**{**values, **rest})


def test_a_broken_cell_has_its_evidence_and_its_command() -> None:
    """What is owed, what was seen, who asks for it, and how to see it again; all text is escaped."""
    page = html.page([judged("one"), judged("two", "errors.retry_after[date]")])
    assert "kept 2/2" in page
    assert "broken 1/2" in page
    assert "parity judge two -k &#39;errors.retry_after and date&#39;" in page
    assert "OpenAI API reference" in page
    assert "1 × needs a memory store" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert html.page([GOOD, BAD]) == html.page([GOOD, BAD])
    assert re.search(r'<td class="none"[^>]*>–</td>', html.page([GOOD, BAD]))


def test_what_is_too_much_is_counted() -> None:
    """A cell that is broken in many scenarios names those whose evidence isn't written out."""
    ids = [f"chat.x[{number}]" for number in range(html.MOST + 2)]
    found = {id_: [Violation(path="$.x", expected="y" * 900, actual=1)] for id_ in ids}
    clause = ClauseVerdict(level="api", checked=9, broken=found)
    page = html.page([judged("one", clauses={"chat.plain": clause})])
    assert "and in 2 more: chat.x[5], chat.x[6]" in page
    assert "y" * (html.LONGEST + 1) not in page


def test_gateways_are_targets_of_a_report() -> None:
    """A cell for each scenario that applies, broken with the clause that says so; nothing is compared."""
    verdict = as_verdict(
        [judged("one"), judged("two", "chat.plain", looked_at={"chat.plain": ("chat.plain",)})],
        [scenario("errors.retry_after[date]"), scenario("chat.plain"), scenario("chat.other")],
    )
    assert [s.id for s in verdict.scenarios] == ["chat.plain", "errors.retry_after[date]"]
    first, second = verdict.scenarios
    assert {name: cell.contract for name, cell in first.cells.items()} == {"one": "met", "two": "broken"}
    assert first.cells["two"].violations[0].clauses == ("chat.plain",)
    assert set(second.cells) == {"one"}
    assert (verdict.planned, verdict.exit_code) == (3, 1)
    assert as_verdict([judged("one")], [scenario("chat.plain")]).exit_code == 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The gateways that were judged, by a command that starts none of them: nginx can't be."""
    names: list[str] = []

    def judge_gateway(profile: Profile, scenarios: Any, **_: Any) -> GatewayVerdict:
        names.append(profile.name)
        if profile.name == "nginx":
            raise GatewayError("apt-get is missing")
        return judged(
            profile.name,
            version=profile.shown_version,
            catalogue=judge.Catalogue(tuple(scenarios), {}).hash,
            rules=rules_for(profile),
        )

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judge, "judge_gateway", judge_gateway)
    return names


def test_all_gateways_make_one_table_and_can_be_resumed(asked: list[str], tmp_path: Path) -> None:
    """One command writes everything; what was interrupted is gone on with, what is right isn't judged again."""
    done = CliRunner().invoke(main, ["judge", "--all", "-k", "chat.plain"])
    assert done.exit_code == 2
    assert "9 gateways, " in done.output
    assert "nginx: apt-get is missing" in done.output
    folder = tmp_path / "gateways-report"
    assert {path.name for path in folder.iterdir()} >= {
        "gateways.html",
        "gateways.json",
        "report.json",
        "junit.xml",
    }
    assert "| Portkey |" in (tmp_path / "docs" / "gateways.md").read_text()
    assert "Portkey" in (folder / "gateways.html").read_text()
    assert len(asked) == len(set(asked)) == 9
    asked.clear()
    again = CliRunner().invoke(main, ["judge", "--all", "--resume", "-k", "chat.plain"])
    assert asked == ["nginx"]
    assert "judged before, and kept: binary, " in again.output
    assert (folder / "gateways.html").read_text().count("<tbody>") == 2
    asked.clear()
    CliRunner().invoke(main, ["judge", "--all", "--resume", "-k", "chat.tool_call"])
    assert len(asked) == 9


def test_other_rules_judge_again(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict by another profile, other clauses or other code of the judge's isn't kept."""
    arguments = ["judge", "portkey", "-k", "chat.plain", "--json", "found.json", "--resume"]
    for _ in range(2):
        assert CliRunner().invoke(main, arguments).exit_code == 0
    assert asked == ["portkey"]
    profile = profiles.find("portkey")
    assert rules_for(profile) == rules_for(profiles.find("portkey"))
    assert rules_for(profile) != rules_for(profile.model_copy(update={"routes": profile.routes[:1]}))
    monkeypatch.setattr(judging, "_code", lambda: "other")
    CliRunner().invoke(main, arguments)
    assert asked == ["portkey", "portkey"]


def test_nothing_left_to_judge_writes_the_pages(asked: list[str], tmp_path: Path) -> None:
    """Files that were lost are made from the verdicts that were kept."""
    arguments = ["judge", "portkey", "-k", "chat.plain", "--json", "found.json", "--report", "out"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    (tmp_path / "out" / "gateways.html").unlink()
    done = CliRunner().invoke(main, [*arguments, "--resume"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith("PASS portkey")
    assert asked == ["portkey"]
    assert (tmp_path / "out" / "gateways.html").exists()
