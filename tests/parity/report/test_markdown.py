from __future__ import annotations

import re

import pytest

from parity.report import markdown
from parity.report.markdown import render
from tests.parity.builders import HEADER
from tests.parity.report.verdicts import full, passing

TEXT = render(full())


def test_the_verdict_comes_first() -> None:
    """Whoever reads two lines knows how it went."""
    assert TEXT.splitlines()[0] == "# Parity: ⚠️ incomplete"
    assert render(passing()).splitlines()[0] == "# Parity: ✅ pass"


def test_the_table_has_what_is_not_identical_and_kept() -> None:
    """One row a scenario with both verdicts, after the numbers of each theme, where excused and kept are apart."""
    assert "| errors | 2 | 0 | 1 | 0 | 1 met, 1 excused | 1 met, 1 missing |" in TEXT
    assert "| `chat.plain` |" not in TEXT
    assert "| `errors.status[429]` | 🟡 excused | ✅ | 🟡 explained |" in TEXT
    assert "| `errors.gone` | ✅ | ❌ missing | – |" in TEXT
    assert "| `chat.nasty` | ❌ broken | ❌ broken | ❌ unexplained |" in TEXT


def test_a_difference_is_shown_with_path_and_both_values() -> None:
    """The reader doesn't have to open anything else."""
    assert f'at `{HEADER}`\n  - binary: `<absent>`\n  - sdk: `"7"`' in TEXT
    assert "- framing at `$.exchanges[0].response.stream.frames[0]" in TEXT


def test_explained_differences_are_folded_with_their_reason() -> None:
    """What the ledger allows is out of the way, yet there."""
    before, _themes, folded, _made = TEXT.split("<details>")
    assert "retry-after" not in before
    assert "headers['retry-after']" in folded
    assert "LiteLLM `>=1.106.2`: LiteLLM does so." in folded
    assert "Explained" not in render(passing())


def test_stale_and_unaccounted_are_listed() -> None:
    """They fail the run, so they are said."""
    assert "divergence of chat.plain at" in TEXT
    assert "errors.gone on sdk: planned, but not reported" in TEXT


def test_values_stay_values() -> None:
    """No value can become markup, a mention or a heading, or end its own code span."""
    assert "\n# Not a heading" not in TEXT
    assert '`` "<b>`|*@you*|`</b>\\n# Not a heading" ``' in TEXT
    assert "<b>" not in re.sub(r"(`+).*?\1(?!`)", "", TEXT)


def test_long_values_are_cut() -> None:
    """A body of thousands of characters says how long it is."""
    assert "x" * 1000 not in TEXT
    assert "… (5002 characters)" in TEXT


def test_details_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit the rest is counted."""
    monkeypatch.setattr(markdown, "MOST_DETAILS", 1)
    text = render(full())
    assert "more, in the JSON report" in text


def test_a_pass_says_what_it_rests_on() -> None:
    """Rules with their counts, versions, catalogue."""
    assert "| generated-ids | 1 |" in TEXT
    assert "- sdk: litellm 1.106.2, proxy-parity 0.1.0" in TEXT
    assert "abababab" in TEXT
