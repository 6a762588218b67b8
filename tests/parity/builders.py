"""Small observations and scenarios, said in as few words as a test needs."""

from __future__ import annotations

from typing import Any

from parity.catalogue.scenario import Scenario, Tier
from parity.judging.ledger import Divergence, Shortfall
from parity.observation.model import (
    Exchange,
    Frame,
    Observation,
    Response,
    Stream,
    StreamMessage,
    UpstreamCall,
)

HEADER = "$.exchanges[0].response.headers['retry-after']"
BODY = "$.exchanges[0].response.json_body"
STREAM = "$.exchanges[0].response.stream"


def scenario(
    id: str = "chat.plain", *, tiers: tuple[Tier, ...] = ("mocked", "live"), **expect: Any
) -> Scenario:
    """A scenario of one request; `expect` holds the response, `provider`, `memory` and `held_back` as in a file."""
    around = {key: expect.pop(key) for key in ("provider", "memory", "held_back") if key in expect}
    return Scenario.model_validate(
        {
            "id": id,
            "title": "A promise.",
            "clauses": ["some.clause"],
            "tiers": list(tiers),
            "client": [{"json": {"model": "$model"}}],
            "expect": {"responses": [expect], **around},
        }
    )


def observation(
    id: str = "chat.plain",
    target: str = "binary",
    *,
    tier: Tier = "mocked",
    status: int = 200,
    headers: dict[str, str] | None = None,
    json: Any = None,
    text: str | None = None,
    stream: Stream | None = None,
    **rest: Any,
) -> Observation:
    """An observation of one exchange, unless `exchanges` says otherwise."""
    response = Response(status=status, headers=headers or {}, json_body=json, text=text, stream=stream)
    exchange = Exchange(method="POST", path="/v1/chat/completions", response=response)
    return Observation(scenario=id, target=target, tier=tier, **{"exchanges": [exchange], **rest})


def stream(*texts: str, done: bool = True, broken: str | None = None, **message: Any) -> Stream:
    """A stream of one frame a text, whose message is their sum."""
    frames = [Frame(data={"choices": [{"delta": {"content": text}}]}) for text in texts]
    return Stream(
        frames=frames, message=StreamMessage(texts=["".join(texts)], **message), done=done, broken=broken
    )


def call(**body: Any) -> UpstreamCall:
    return UpstreamCall(route="chat/completions", model="chat.plain", body=body)


_SAID = {
    "clause": "some.clause",
    "why": "LiteLLM does so.",
    "severity": "degraded",
    "notices": "A client misses it.",
    "mended_by": "litellm",
    "expires": "2099-12-31",
    "litellm": ">=1.106.2",
    "probe": "curl it",
}


def divergence(scenario: str = "chat.plain", path: str = HEADER, **rest: Any) -> Divergence:
    """Binary shows nothing where sdk shows 7, unless `values` says otherwise."""
    return Divergence(
        **{"scenario": scenario, "path": path, "values": {"binary": "<absent>", "sdk": "7"}, **_SAID, **rest}
    )


def shortfall(scenario: str, path: str, expected: Any, observed: Any, **rest: Any) -> Shortfall:
    return Shortfall(scenario=scenario, path=path, expected=expected, observed=observed, **{**_SAID, **rest})
