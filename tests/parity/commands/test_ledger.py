"""`parity ledger`: what is allowed, the severest first."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from click.testing import CliRunner, Result

from parity.cli import main
from parity.commands.ledger import lines
from parity.judging.ledger import SEVERITIES, Ledger
from tests.parity.builders import divergence, shortfall


def called(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["ledger", *map(str, arguments)])


def test_the_severest_stand_first() -> None:
    """All entries of the shipped ledger are counted, under the heading of their severity, broken before none."""
    entries = Ledger.load().entries
    said = called()
    assert said.exit_code == 0, said.output
    heads = [line.partition(":")[0] for line in said.output.splitlines() if line and line[0] != " "]
    assert heads[:-1] == [s for s in reversed(SEVERITIES) if any(e.severity == s for e in entries)]
    counted = dict(word.rsplit(" ", 1) for word in said.output.splitlines()[-1].split(", "))
    assert counted == {s: str(sum(e.severity == s for e in entries)) for s in heads[:-1]}


def test_json_has_every_entry_whole() -> None:
    """A script reads the same, with all fields of the file, the severest first."""
    shown = json.loads(called("--json").output)["entries"]
    ranks = [list(SEVERITIES).index(e["severity"]) for e in shown]
    assert ranks == sorted(ranks, reverse=True)
    assert len(shown) == len(Ledger.load().entries)
    assert {"notices", "mended_by", "upstream", "expires", "expired", "why", "probe"} <= set(shown[0])


def test_what_a_client_notices_alike_is_said_once() -> None:
    """Entries of one sentence are one paragraph, which names their scenarios, who can mend it and where it is known."""
    url = "https://github.com/owner/name/issues/1"
    both = [divergence(s, notices="Same.", upstream=url) for s in ("chat.a", "chat.b")]
    other = shortfall("chat.c", "$.exchanges", 1, 2, severity="none", mended_by="project")
    assert lines([*both, other], date(2026, 1, 1)) == [
        "degraded: something that a client uses is lost",
        "  Same.",
        "    2 entries, LiteLLM >=1.106.2, until 2099-12-31; LiteLLM can mend it",
        "    in chat.a, chat.b",
        f"    {url}",
        "",
        "none: a client can't notice",
        "  A client misses it.",
        "    1 entry, LiteLLM >=1.106.2, until 2099-12-31; this project can mend it",
        "    in chat.c",
        "",
        "degraded 2, none 1",
    ]


def test_an_expired_entry_fails(tmp_path: Path) -> None:
    """Exit code 1, and the entry is marked."""
    file = tmp_path / "ledger.yaml"
    file.write_text(json.dumps([divergence(expires="2020-01-01").model_dump(mode="json")]))
    said = called("--ledger", file)
    assert said.exit_code == 1
    assert "EXPIRED on 2020-01-01" in said.output
    file.write_text("[]")
    assert called("--ledger", file).output == "the ledger is empty\n"
