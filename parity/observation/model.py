"""Holds the model of an observation: what was seen when a target played a scenario.

JSON Lines in and out: one header line, one observation a line.

{"parity_observations": 1, "target": "binary", "tier": "mocked", "catalogue": "<sha256>", "versions": {...}}
{"scenario": "chat.plain", "exchanges": [...], "upstream": [...], ...}
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from parity.catalogue.scenario import Tier
from parity.support.frozen import Frozen

FORMAT: Literal[1] = 1


class Frame(Frozen):
    """Holds one server-sent event as the client read it.

    `data` is the parsed JSON, or the text where it is none.
    """

    event: str = "message"
    data: Any = None


class StreamMessage(Frozen):
    """Holds the message that the frames add up to, put together without the proxies' code."""

    texts: list[str] = Field(default_factory=list, description="content by choice index")
    finish_reasons: list[str | None] = Field(default_factory=list)
    tool_calls: list[Any] = Field(default_factory=list, description="choice 0's: {id, name, arguments}")
    usage: Any = None
    error: Any = None
    thinking: str = Field("", description="of Anthropic's thinking blocks")
    signature: str = Field("", description="of Anthropic's thinking blocks")
    refusal: str = Field("", description="of choice 0, on chat completions")


class Stream(Frozen):
    frames: list[Frame] = Field(default_factory=list)
    message: StreamMessage = Field(default_factory=StreamMessage)
    done: bool = Field(False, description="closed by `data: [DONE]`, or by the last of the named events")
    broken: str | None = Field(None, description="the transport error that ended it, if one did")


class Response(Frozen):
    """Holds the response that the client saw.

    Exactly one of `json_body`, `text`, `stream` is set, none for an empty body.
    """

    status: int
    headers: dict[str, str] = Field(description="lower-case names, sorted; transport headers left out")
    json_body: Any = None
    text: str | None = None
    stream: Stream | None = None


class Exchange(Frozen):
    """Holds one client request and its outcome: a response, `failed` (transport error), or the client hung
    up.
    """

    method: str
    path: str
    response: Response | None = None
    failed: str | None = None
    hung_up: bool = False
    attempts: int = Field(
        1, description="how often an official client sent it: its own retries, and the first"
    )
    raised: str | None = Field(None, description="the exception of an official client, by its class")


class UpstreamCall(Frozen):
    """Holds one call upstream.

    Mocked tier: the call to the backend; live tier: the request that the provider received.
    """

    route: str
    model: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None


class Observation(Frozen):
    scenario: str
    target: str
    tier: Tier
    exchanges: list[Exchange] = Field(default_factory=list)
    upstream: list[UpstreamCall] = Field(default_factory=list)
    memory: list[UpstreamCall] = Field(
        default_factory=list, description="the requests that the memory store received"
    )
    held_back: int = Field(
        0, description="provider frames that the client had not read when the next one was due"
    )
    cancelled: bool | None = Field(
        None, description="whether the upstream call was cancelled; None: not asked"
    )
    faults: list[str] = Field(default_factory=list, description="what the doubles refused, in sentences")


def clients_side(observation: Observation) -> Observation:
    """Return only what its client saw, which is known of any endpoint."""
    return Observation(
        scenario=observation.scenario,
        target=observation.target,
        tier=observation.tier,
        exchanges=observation.exchanges,
    )


class Header(Frozen):
    """Holds the first line of an observation file."""

    parity_observations: Literal[1] = FORMAT
    target: str
    tier: Tier
    architecture: str | None = Field(None, description="binary or sdk; none for an endpoint")
    litellm: str | None = Field(
        None, description="the version of LiteLLM that answered: the installed one, or that of the recordings"
    )
    catalogue: str = Field(description="sha256 over the scenarios that were planned")
    endpoint: bool = Field(
        False, description="a URL: only what its client saw is known, and its provider isn't the scenario's"
    )
    versions: dict[str, str] = Field(
        default_factory=dict,
        description="of proxy-parity, of Python, and of the packages that decide what a target of ours answers; "
        "`recordings`: of the litellm that the mocked tier's answers came from",
    )
