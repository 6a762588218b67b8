from __future__ import annotations

from parity.gateways.judging import ClauseVerdict, GatewayVerdict
from parity.gateways.table import page
from parity.judging.contract import Violation

BROKEN = Violation(
    path="$.x", expected="7 | 8", actual="<absent>\n" + "y" * 400, clauses=("errors.retry-after",)
)


def verdict(name: str, **clauses: ClauseVerdict) -> GatewayVerdict:
    return GatewayVerdict(
        name=name,
        title=name.title(),
        about="A gateway.",
        version="1.2",
        applicable=5,
        flawless=5 - sum(len(c.broken) for c in clauses.values()),
        not_applicable={"needs a memory store": 3} if clauses else {},
        clauses={key.replace("__", ".").replace("_", "-"): clause for key, clause in clauses.items()},
    )


GOOD = verdict("good", chat__plain=ClauseVerdict(level="api", checked=4))
BAD = verdict(
    "bad",
    chat__plain=ClauseVerdict(level="api", checked=4),
    errors__retry_after=ClauseVerdict(
        level="careful", checked=2, broken={"errors.retry_after[date]": [BROKEN]}
    ),
)


def test_the_table_has_a_row_a_clause_and_a_column_a_gateway() -> None:
    """By level, with the sources; a gateway that wasn't looked at there has a dash."""
    text = page([GOOD, BAD])
    assert "| `chat.plain` | ✅ 4/4 | ✅ 4/4 |" in text
    assert "| `errors.retry-after` | – | ❌ 1/2 |" in text
    assert text.index("## What the published APIs ask for") < text.index("## What a careful gateway keeps")
    assert "This project's own" not in text
    assert "RFC 9110, section 10.2.3" in text


def test_evidence_is_short_and_breaks_no_table() -> None:
    """One scenario a broken clause, with what is owed and what was seen, and the command that shows it again."""
    text = page([GOOD, BAD])
    assert "Nothing is broken." in text
    row = next(line for line in text.splitlines() if "errors.retry\\_after" in line)
    assert "7 \\| 8" in row
    assert len(row) < 500
    assert "`parity judge bad -k NAME`" in text
    assert "3 × needs a memory store" in text


def test_a_verdict_is_one_line() -> None:
    """PASS, FAIL, or INCOMPLETE where nothing applied."""
    assert (
        GOOD.line == "PASS good 1.2: 5 of 5 applicable scenarios met · clauses 1 of 1 kept · not applicable 3"
    )
    assert BAD.line.startswith("FAIL bad 1.2: 4 of 5")
    nothing = GOOD.model_copy(update={"applicable": 0, "flawless": 0})
    assert nothing.line.startswith("INCOMPLETE good")
    assert page([GOOD, BAD]) == page([GOOD, BAD])
