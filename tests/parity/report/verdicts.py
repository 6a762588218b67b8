"""One report that has something of everything."""

from __future__ import annotations

from parity.judging.ledger import Ledger
from parity.judging.verdict import judge
from parity.observation.model import UpstreamCall
from parity.report.schema import Report, build
from tests.parity.builders import BODY, divergence, observation, scenario, shortfall, stream

LEAKY = "sk-proj-abcdefghijklmnop"
KEY = "not-by-its-looks"
NASTY = "<b>`|*@you*|`</b>\n# Not a heading"


def full() -> Report:
    """Identical, explained, excused, unexplained, broken, missing, stale, and secrets on the way."""
    scenarios = [
        scenario("auth.leak"),
        scenario("chat.plain", status=200),
        scenario("chat.nasty", json={"text": "fine"}),
        scenario("errors.status[429]", headers={"retry-after": "7"}),
        scenario("errors.gone"),
        scenario("streaming.plain", stream={"text": "hello", "finish_reasons": ["stop"]}),
    ]
    seen = [
        observation(
            "auth.leak",
            upstream=[
                UpstreamCall(
                    route="x",
                    headers={"authorization": f"Basic {KEY}", "cookie": f"sid={KEY}"},
                    body={"api_key": {}},
                )
            ],
        ),
        observation(
            "auth.leak",
            "sdk",
            upstream=[UpstreamCall(route="x", body={"api_key": {"nested": KEY}})],
            text=f"Incorrect API key provided: {LEAKY}",
        ),
        observation("chat.plain", json={"id": "call_00000001-0000-4000-8000-000000000000"}),
        observation("chat.plain", "sdk", json={"id": "call_<id:1>"}),
        observation("chat.nasty", json={"text": NASTY}),
        observation("chat.nasty", "sdk", json={"text": "x" * 5000}),
        observation("errors.status[429]"),
        observation("errors.status[429]", "sdk", headers={"retry-after": "7"}),
        observation("errors.gone"),
        observation("streaming.plain", stream=stream("hel", "lo", finish_reasons=[None])),
        observation("streaming.plain", "sdk", stream=stream("hello", finish_reasons=[None])),
    ]
    ledger = Ledger(
        entries=(
            divergence("errors.status", probe=f"curl -H 'authorization: Bearer {LEAKY}'"),
            divergence("chat.plain", BODY, values={"binary": f"x {LEAKY}", "sdk": "y"}),
            shortfall(
                "streaming.plain", "$.exchanges[0].response.stream.message.finish_reasons[0]", "stop", None
            ),
        )
    )
    verdict = judge(
        [(s.id, t) for s in scenarios for t in ("binary", "sdk")],
        seen,
        scenarios,
        ledger,
        "mocked",
        problems=[f"worker died with {LEAKY}"],
    )
    return build(
        verdict,
        catalogue="ab" * 32,
        versions={"sdk": {"proxy-parity": "0.1.0", "litellm": "1.106.2"}, "binary": {}},
    )


def passing() -> Report:
    """One scenario, equal on both."""
    seen = [observation("chat.plain", target) for target in ("binary", "sdk")]
    cells = [("chat.plain", "binary"), ("chat.plain", "sdk")]
    verdict = judge(cells, seen, [scenario("chat.plain")], Ledger(), "mocked")
    return build(verdict, catalogue="ab" * 32, versions={})


HOSTILE = "<script>alert(1)</script>]]><!--'\"&amp;</pre></style><img src=x onerror=alert(2)>"
UNPRINTABLE = "\x00\x1b[31m\u202e\uffff"
HALF = "\ud800"  # JSON may hold it, UTF-8 and a text of pydantic's may not


def hostile() -> Report:
    """Markup, and characters that no document may hold, wherever a text from outside can stand."""
    name = HOSTILE.replace("[", "").replace("]", "")
    template = scenario(f"chat.x[{name}]", json={"text": "fine"})
    scenarios = [
        template.model_copy(update={"title": HOSTILE + UNPRINTABLE, "clauses": [HOSTILE]}),
        scenario("chat.x[a b]", json={"text": HOSTILE}),
        scenario("chat.x[a_b]"),
        scenario("chat.x[a<b]", json={HOSTILE: HOSTILE}),
    ]
    nasty = {"text": HOSTILE + UNPRINTABLE + HALF, HOSTILE: HOSTILE}
    seen = [
        observation(s.id, target, json=nasty if target == "binary" else {"text": target + UNPRINTABLE + HALF})
        for s in scenarios
        for target in ("binary", "sdk")
    ]
    path = "$.exchanges[0].response.json_body.text"
    values = {"binary": nasty["text"], "sdk": f"sdk{UNPRINTABLE}{HALF}"}
    said = {"why": HOSTILE + UNPRINTABLE, "probe": HOSTILE, "clause": HOSTILE, "litellm": ">=1"}
    said |= {"notices": HOSTILE + UNPRINTABLE}
    ledger = Ledger(
        entries=(
            divergence("chat.x[a_b]", path, values=values, **said),
            divergence("chat.x[a<b]", f"{path}.no", **said),
        )
    )
    cells = [(s.id, t) for s in scenarios for t in ("binary", "sdk")]
    verdict = judge(cells, seen, scenarios, ledger, "mocked", problems=[HOSTILE + UNPRINTABLE])
    return build(verdict, catalogue=HOSTILE, versions={"binary": {HOSTILE: HOSTILE}})
