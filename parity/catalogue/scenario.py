"""Holds the model of a scenario: the provider's replies, the client's requests, the expected outcome.

A scenario is data. A file holds one scenario, or one template with `cases` that expand to several:

    file ── Scenario            id `errors.bad_request`
         └─ template + cases    id `errors.openai_status[429]`, one a case, `$name` filled in from the case
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from parity.support.frozen import Frozen

Tier = Literal["mocked", "live"]
TIERS: tuple[Tier, ...] = ("mocked", "live")


class Part(Frozen):
    """Refuses unknown keys and values of the wrong type: the text `"200"` is no status."""

    model_config = ConfigDict(strict=True)

    ADDED: ClassVar[frozenset[str]] = frozenset()
    """Optional fields that came later: not dumped at their default, so that older recordings still fit."""

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        for name, alias, default in _added(type(self)):
            if getattr(self, name) == default:
                dumped.pop(name, None)
                dumped.pop(alias, None)
        return dumped


@cache
def _added(part: type[Part]) -> list[tuple[str, str, Any]]:
    """Return name, alias and default of the fields that came later; to ask pydantic for a default is dear."""
    fields = part.model_fields
    return [
        (name, fields[name].alias or name, fields[name].get_default(call_default_factory=True))
        for name in part.ADDED
    ]


Text = Annotated[str, Field(min_length=1)]
Json = Any


class SseEvent(Part):
    """Holds one step of a provider's event stream: exactly one of `data`, `comment`, `raw`, a pause or an
    end.
    """

    event: str | None = Field(None, description="the SSE event name (Anthropic names its events)")
    data: Json | None = Field(None, description="an object is sent as compact JSON, a string as it is")
    comment: str | None = Field(None, description="a comment line, such as a keep-alive")
    raw: str | None = Field(None, description="bytes sent exactly so (UTF-8), nothing added")
    delay: float | None = Field(None, ge=0, le=60, description="seconds to wait before going on")
    end: Literal["cut", "reset"] | None = Field(
        None, description="cut: close without the closing chunk; reset: TCP RST"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> SseEvent:
        kinds = [k for k in ("data", "comment", "raw", "delay", "end") if getattr(self, k) is not None]
        if len(kinds) != 1:
            raise ValueError(f"needs exactly one of data, comment, raw, delay, end; has {kinds or 'none'}")
        if self.event is not None and self.data is None:
            raise ValueError("event goes with data")
        return self


class ProviderReply(Part):
    """Holds the provider's reply to one call: at most one of `json`, `text`, `sse`; or a `fault` and no
    reply.
    """

    ADDED = frozenset({"repeat", "when"})

    when: dict[str, str] = Field(
        default_factory=dict,
        description="only for calls whose headers hold these texts, and then before any reply without `when`",
    )
    status: int = Field(200, ge=100, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    json_: Json | None = Field(None, alias="json", description="sent as JSON, content-type application/json")
    text: str | None = Field(None, description="sent as it is; give content-type in headers")
    repeat: int = Field(1, ge=1, le=10_000_000, description="`text` is sent so many times over")
    sse: list[SseEvent] | None = Field(None, description="sent as text/event-stream, one write an event")
    newline: Literal["\n", "\r\n"] = Field("\n", description="line ending of the event stream")
    split: int | None = Field(None, ge=1, description="write the body in pieces of this many bytes")
    encoding: Literal["gzip"] | None = Field(None, description="content-encoding of the whole body")
    delay: float = Field(0, ge=0, le=60, description="seconds before the status line")
    fault: Literal["reset", "hang"] | None = Field(
        None, description="reset: TCP RST instead of an answer; hang: no answer until the caller goes away"
    )

    @model_validator(mode="after")
    def _one_body(self) -> ProviderReply:
        bodies = [
            k for k, v in (("json", self.json_), ("text", self.text), ("sse", self.sse)) if v is not None
        ]
        if self.fault is not None and bodies:
            raise ValueError(f"a reply with a fault sends nothing; drop {bodies[0]}")
        if len(bodies) > 1:
            raise ValueError(f"needs at most one of json, text, sse; has {bodies}")
        return self


class Deployment(Part):
    """Holds the `model_list` entry behind the scenario's alias. The harness adds `api_base` and a stub key."""

    ADDED = frozenset({"fallbacks", "group", "memory", "memory_refused"})

    provider: Literal["openai", "anthropic", "groq", "together_ai"] = "openai"
    model: Text = Field("gpt-4o-mini", description="the provider's own name of the model")
    params: dict[str, Json] = Field(default_factory=dict, description="further `litellm_params`")
    supermemory: bool = Field(False, description="`model_info.supermemory`")
    refused: bool = Field(False, description="nobody listens at `api_base`: connection refused")
    group: int = Field(1, ge=1, description="how many deployments of this kind share the alias")
    fallbacks: list[Text] = Field(
        default_factory=list, description="models of the same provider that stand in, in this order"
    )
    memory: dict[str, Json] | None = Field(
        None, description="`model_info.context_retrieval`; the harness enables it, adds address and key"
    )
    memory_refused: bool = Field(False, description="nobody listens where memories are looked up")

    @property
    def repeats(self) -> bool:
        """Return whether one call to LiteLLM may become several to the provider."""
        return self.group > 1 or bool(self.fallbacks or self.params.get("num_retries"))


class ClientRequest(Part):
    """Holds one request of the client: the path as sent; `auth` names the credential, never its value."""

    ADDED = frozenset({"encoding", "header_bytes", "header_count"})

    method: Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] = "POST"
    path: Text = "/v1/chat/completions"
    auth: Literal["bearer", "x-api-key", "api-key", "wrong", "none"] = "bearer"
    headers: dict[str, str] = Field(default_factory=dict)
    json_: Json | None = Field(None, alias="json", description="`$model` stands for the scenario's alias")
    body: str | None = Field(None, description="sent as it is, with content-type application/json")
    body_bytes: int | None = Field(None, ge=0, description="a JSON body padded to this many bytes")
    encoding: Literal["gzip"] | None = Field(None, description="content-encoding of the body")
    header_bytes: int = Field(0, ge=0, le=1_000_000, description="a further header with so many bytes")
    header_count: int = Field(0, ge=0, le=10_000, description="so many further headers")
    hang_up_after: int | None = Field(
        None, ge=0, description="disconnect after so many stream events; 0: before the response starts"
    )

    @model_validator(mode="after")
    def _one_body(self) -> ClientRequest:
        if self.json_ is not None and self.body is not None:
            raise ValueError("needs at most one of json, body")
        return self


class ExpectedStream(Part):
    """Holds the message that a stream must add up to, and its end; a key that is not given is not asserted."""

    ADDED = frozenset({"thinking", "signature", "refusal"})

    text: str | None = Field(None, description="the content of choice 0")
    texts: list[str] | None = Field(None, description="the content of every choice, by index")
    finish_reasons: list[str | None] | None = Field(None, description="by choice index")
    tool_calls: list[Json] | None = Field(None, description="choice 0's, put together: id, name, arguments")
    usage: Json | None = None
    error: Json | None = Field(None, description="the error object of the closing error frame, exact")
    thinking: str | None = Field(None, description="of Anthropic's thinking blocks")
    signature: str | None = Field(None, description="of Anthropic's thinking blocks")
    refusal: str | None = Field(None, description="of choice 0, on chat completions")
    done: bool | None = Field(None, description="closed by `data: [DONE]`, or by the last of named events")
    frames_at_least: int | None = Field(None, ge=0)


class ExpectedResponse(Part):
    """Holds the response that the client must see for one request; a key that is not given is not asserted."""

    ADDED = frozenset({"lines"})

    status: int | None = None
    headers: dict[str, str | None] = Field(
        default_factory=dict, description="exact values by name; null: must be absent"
    )
    json_: Json | None = Field(None, alias="json", description="the whole body, after normalisation")
    contains: Json | None = Field(None, description="objects: these keys at least; lists: whole")
    lines: list[Text] = Field(
        default_factory=list, description="of a text body: for each of these there is a line that starts so"
    )
    stream: ExpectedStream | None = None
    hung_up: bool = Field(False, description="the client disconnected, so there is nothing to check")


class ExpectedProvider(Part):
    """Holds the requests that the provider must have received."""

    ADDED = frozenset({"each", "mocked_calls"})

    calls: int | None = Field(None, ge=0)
    mocked_calls: int | None = Field(
        None, ge=0, description="in the mocked tier, where LiteLLM is called less often than it calls"
    )
    headers: dict[str, str | None] = Field(default_factory=dict, description="of every call; null: absent")
    contains: Json | None = Field(None, description="of every call's body")
    each: list[Json] | None = Field(None, description="the same, one a call")
    cancelled: bool | None = Field(None, description="the call was cancelled when the client went away")


class ExpectedMemory(Part):
    """Holds the requests that the memory store must have received."""

    calls: int | None = Field(None, ge=0)
    headers: dict[str, str | None] = Field(default_factory=dict, description="of every call; null: absent")
    contains: Json | None = Field(None, description="of every call's body")
    each: list[Json] | None = Field(None, description="the same, one a call")


class Expectation(Part):
    ADDED = frozenset({"memory"})

    responses: list[ExpectedResponse] = Field(default_factory=list, description="one a client request")
    provider: ExpectedProvider = Field(default_factory=ExpectedProvider)
    memory: ExpectedMemory = Field(default_factory=ExpectedMemory)
    held_back: int = Field(0, description="frames that did not leave before the next one was sent")


_ID = r"[a-z0-9_]+(\.[a-z0-9_]+)+(\[[^\[\]]+\])?"


def _id(text: str) -> str:
    if not re.fullmatch(_ID, text):
        raise ValueError(
            "must look like theme.name, or theme.name[case]: two or more words of lower-case letters, digits "
            f"and _ with dots between them, then perhaps a case in brackets; not {text!r}"
        )
    return text


# The pattern is for the schema alone: pydantic's own message would quote a regular expression.
ScenarioId = Annotated[str, AfterValidator(_id), Field(json_schema_extra={"pattern": f"^{_ID}$"})]


class Scenario(Part):
    """Holds one scenario, its template already expanded."""

    ADDED = frozenset({"memory"})

    id: ScenarioId
    title: Text = Field(description="the promise, in one sentence")
    clauses: list[Text] = Field(
        default_factory=list,
        description="ids of your contract's clauses; in a built-in scenario those of docs/contract.md",
    )
    tiers: list[Tier] = Field(default_factory=lambda: list(TIERS), min_length=1)
    real: bool = Field(
        False,
        exclude=True,  # what a recording says doesn't depend on it
        description="real providers may be asked it, too: `parity run --tier real`",
    )
    deployment: Deployment = Field(default_factory=Deployment)
    provider: list[ProviderReply] = Field(
        default_factory=list,
        description="answers to successive calls; the last one repeats; none: no call may come",
    )
    memory: list[ProviderReply] = Field(
        default_factory=list, description="answers of the memory store, in the same way"
    )
    client: Annotated[list[ClientRequest], Field(min_length=1)]
    expect: Expectation

    @property
    def template(self) -> str:
        """Return the id without its case: `errors.openai_status` for `errors.openai_status[429]`."""
        return self.id.partition("[")[0]

    @property
    def alias(self) -> str:
        """Return the model name that clients ask for: the id, so that one LiteLLM process serves every
        scenario.
        """
        return self.id

    @model_validator(mode="after")
    def _responses_match_requests(self) -> Scenario:
        if len(self.expect.responses) != len(self.client):
            raise ValueError(
                f"expect.responses needs one entry a client request: {len(self.client)}, "
                f"not {len(self.expect.responses)}"
            )
        return self
