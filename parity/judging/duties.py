"""Judges what any gateway owes, from the scenario's provider instead of this project's own expectations.

A gateway stands between a client and a provider. From what the provider said follows what the client has to hear, and
from what the client asked what the provider has to receive; each such duty is a clause of the contract: `levels.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from parity.catalogue.scenario import ClientRequest, ProviderReply, Scenario
from parity.catalogue.strangers import REFUSALS
from parity.judging.contract import Violation
from parity.judging.jsondiff import ABSENT
from parity.judging.jsonpath import Parts, to_path
from parity.judging.meaning import Api, Meaning, api_of, frames_of, heard, said, wire_of
from parity.observation.model import Exchange, Observation, Response, UpstreamCall
from proxies.support.redact import redact_text

Check = tuple[str, Parts, Any, Any]
"""A clause, a path, the value that is owed there, and the one that was seen; a duty is met where the two are equal."""

KEY_LEAKED = "the client's key reached the provider"

_PLAIN = {
    "chat": "chat.plain",
    "messages": "messages.plain",
    "responses": "responses.plain",
    "embeddings": "embeddings.plain",
}
_TOOLS = {
    "chat": "chat.tools",
    "messages": "messages.tools",
    "responses": "responses.tools",
    "embeddings": "",
}
_DATA = {
    "chat": "chat.logprobs",
    "messages": "messages.thinking",
    "responses": "responses.plain",
    "embeddings": "embeddings.plain",
}
_MEMBERS: Mapping[Api, Mapping[str, str]] = {
    "chat": {
        "messages": "chat.messages",
        "tools": "chat.tools",
        "tool_choice": "chat.tools",
        "response_format": "chat.response-format",
        "": "chat.unknown-parameters",
    },
    "messages": {
        "messages": "messages.blocks",
        "system": "messages.blocks",
        "tools": "messages.tools",
        "tool_choice": "messages.tools",
        "thinking": "messages.thinking",
        "": "messages.parameters",
    },
    "responses": {
        "input": "responses.input",
        "tools": "responses.tools",
        "tool_choice": "responses.tools",
        "": "responses.parameters",
    },
    "embeddings": {
        "input": "embeddings.input",
        "encoding_format": "embeddings.encoding",
        "": "embeddings.parameters",
    },
}
_NOT_COMPARED = frozenset({"model", "stream_options", "stream"})


def duties(scenario: Scenario, seen: Observation, *, own_key: bool) -> dict[str, tuple[Violation, ...]]:
    """Return each clause that this observation is about, with the places where it is broken; none: it is met.

    `own_key`: the gateway has keys of its own, so a client's must not travel on.
    """
    found: dict[str, list[Violation]] = {}
    for clause, parts, expected, actual in _checks(scenario, seen, own_key):
        broken = found.setdefault(clause, [])
        if expected != actual:
            broken.append(Violation(path=to_path(parts), expected=expected, actual=actual, clauses=(clause,)))
    return {clause: tuple(broken) for clause, broken in found.items()}


def _checks(scenario: Scenario, seen: Observation, own_key: bool) -> Iterator[Check]:
    for index, (asked, exchange) in enumerate(zip(scenario.client, seen.exchanges, strict=True)):
        at: Parts = ("exchanges", index)
        api = api_of(asked.path)
        if asked.auth in ("wrong", "none") and asked.body is not None:
            continue  # which of two faults is told is each gateway's own
        if asked.auth in ("wrong", "none"):
            yield from _key_refused(exchange, seen, at, api or "chat")
        elif (asked.method, asked.path) == ("GET", "/v1/models"):
            yield from _models(exchange, at)
        elif api is None:
            continue
        elif scenario.deployment.refused:
            yield from _unreachable(exchange, at)
        elif not scenario.provider:
            yield from _request_refused(scenario, exchange, at, api)
        else:
            reply = scenario.provider[min(index, len(scenario.provider) - 1)]
            yield from _answer(scenario, reply, asked, exchange, at, api)
            if index < len(seen.upstream) and len(seen.upstream) == len(scenario.client):
                yield from _sent(scenario, asked, seen.upstream[index], ("upstream", index), api)
    refused = scenario.deployment.refused or any(r.auth in ("wrong", "none") for r in scenario.client)
    if scenario.provider and not refused:
        yield from _calls(scenario, seen)
    if own_key and seen.upstream:
        leaked = [fault for fault in seen.faults if fault == KEY_LEAKED]
        yield "auth.never-upstream", ("faults",), [], leaked


def _models(exchange: Exchange, at: Parts) -> Iterator[Check]:
    body = exchange.response.json_body if exchange.response is not None else None
    data = body.get("data") if isinstance(body, dict) else None
    right = isinstance(data, list) and all(
        isinstance(m, dict) and isinstance(m.get("id"), str) and m.get("object") == "model" for m in data
    )
    actual = "a list of models" if right else body if body is not None else _failure(exchange)
    yield "models.list", (*at, "response", "json_body"), "a list of models", actual


def _key_refused(exchange: Exchange, seen: Observation, at: Parts, api: Api) -> Iterator[Check]:
    status = exchange.response.status if exchange.response is not None else _failure(exchange)
    refused = status if status in (401, 403) else 401
    yield "auth.required", (*at, "response", "status"), refused, status
    yield "auth.required", ("upstream",), 0, len(seen.upstream)
    if exchange.response is not None and status in (401, 403):
        yield _envelope(exchange.response, at, api)


def _unreachable(exchange: Exchange, at: Parts) -> Iterator[Check]:
    """A provider that can't be reached is a failure at the client: a status from 500 on, or a broken connection."""
    status: Any = "a failure"
    response = exchange.response
    if response is not None and response.status < 500 and not (response.stream and response.stream.broken):
        status = response.status
    yield "errors.unreachable", (*at, "response", "status"), "a failure", status


def _request_refused(scenario: Scenario, exchange: Exchange, at: Parts, api: Api) -> Iterator[Check]:
    clause = next((name for name in REFUSALS if name in scenario.clauses), None)
    if clause is None:
        return
    status: Any = exchange.response.status if exchange.response is not None else _failure(exchange)
    right = isinstance(status, int) and 400 <= status < 500
    yield clause, (*at, "response", "status"), status if right else 400, status
    if exchange.response is not None and exchange.response.status >= 400:
        yield _envelope(exchange.response, at, api)


def _answer(
    scenario: Scenario, reply: ProviderReply, asked: ClientRequest, exchange: Exchange, at: Parts, api: Api
) -> Iterator[Check]:
    if asked.hang_up_after is not None:
        return
    if reply.fault == "reset":
        yield from _unreachable(exchange, at)
    elif reply.status >= 400:
        yield from _error(reply, exchange, at, api)
    elif reply.sse is not None:
        yield from _stream(scenario, reply, exchange, at, api)
    elif reply.status < 300:
        yield from _plain(scenario, reply, exchange, at, api)


def _error(reply: ProviderReply, exchange: Exchange, at: Parts, api: Api) -> Iterator[Check]:
    at = (*at, "response")
    response = exchange.response
    yield (
        "errors.status-first",
        (*at, "status"),
        reply.status,
        response.status if response else _failure(exchange),
    )
    wanted = {name.lower(): value for name, value in reply.headers.items()}
    if "retry-after" in wanted and response is not None:
        shown = response.headers.get("retry-after", ABSENT)
        yield "errors.retry-after", (*at, "headers", "retry-after"), wanted["retry-after"], shown
    body = reply.json_
    error = body.get("error") if isinstance(body, dict) else None
    sentence = error.get("message") if isinstance(error, dict) else None
    if not isinstance(sentence, str) or response is None or response.status < 400:
        return
    yield _envelope(response, at[:-1], api)
    told = _sentence(response.json_body)
    # A sentence with a secret in it may be masked.
    if sentence.strip() and redact_text(sentence) == sentence and "key" not in sentence.lower():
        shown = sentence if isinstance(told, str) and sentence.strip() in told else told
        yield "errors.message", (*at, "json_body", "error", "message"), sentence, shown


def _envelope(response: Response, at: Parts, api: Api) -> Check:
    body = response.json_body
    error = body.get("error") if isinstance(body, dict) else None
    right = isinstance(error, dict) and isinstance(error.get("message"), str)
    clause, owed = "errors.envelope", 'an object "error" with a "message"'
    if api == "messages":
        clause, owed = "messages.envelope", 'an object of type "error", with an "error" that has a "message"'
        right = right and isinstance(body, dict) and body.get("type") == "error"
    actual = owed if right else body if body is not None else response.text or ABSENT
    return clause, (*at, "response", "json_body"), owed, actual


def _plain(
    scenario: Scenario, reply: ProviderReply, exchange: Exchange, at: Parts, api: Api
) -> Iterator[Check]:
    spoken = spoken_api(scenario, api)
    meant = said(reply, spoken)
    if meant is None:
        return  # a success that is no answer: what becomes of it is each gateway's own
    at = (*at, "response")
    response = exchange.response
    clause = "headers.response.encoding" if reply.encoding else _PLAIN[api]
    status = response.status if response is not None else _failure(exchange)
    yield clause, (*at, "status"), reply.status, status
    told = heard(response, api) if response is not None else None
    if told is None:
        if response is not None and response.status < 300:
            yield clause, (*at, "json_body"), "an answer of this API", response.json_body or response.text
        return
    yield from _same(scenario, meant, told, (*at, "json_body"), api, clause, spoken)


def _same(
    scenario: Scenario, meant: Meaning, told: Meaning, at: Parts, api: Api, clause: str, spoken: Api
) -> Iterator[Check]:
    """Compare what was said with what was heard."""
    unicode = any(not text.isascii() for text in meant.texts)
    yield ("chat.unicode" if unicode else clause), (*at, "texts"), meant.texts, told.texts
    if len(meant.finish) > 1:
        yield "chat.choices", (*at, "finish"), meant.finish, told.finish
    else:
        yield clause, (*at, "finish"), _gist(meant.finish, spoken, api), _gist(told.finish, spoken, api)
    if meant.calls:
        yield _TOOLS[api], (*at, "tool_calls"), meant.calls, told.calls
    if meant.usage is not None and spoken == api:
        yield clause, (*at, "usage"), meant.usage, told.usage
    if spoken == api and meant.data and any(meant.data):
        yield _DATA[api], (*at, "data"), meant.data, told.data


def _gist(finish: list[str | None], spoken: Api, api: Api) -> Any:
    """A word that one API lacks can't be kept in it: across two of them only the usual ones are compared."""
    if spoken == api:
        return finish
    return [reason if reason in ("stop", "length", "tool_calls") else "other" for reason in finish]


def _stream(
    scenario: Scenario, reply: ProviderReply, exchange: Exchange, at: Parts, api: Api
) -> Iterator[Check]:
    spoken = spoken_api(scenario, api)
    meant = said(reply, spoken)
    assert meant is not None
    at = (*at, "response")
    response = exchange.response
    stream = response.stream if response is not None else None
    told = heard(response, api) if response is not None and stream is not None else None
    finished = meant.whole and any(meant.finish) and meant.error is None
    if not finished or _malformed(reply):
        yield from _unfinished(meant, told, exchange, at, finished)
        return
    clause = {"messages": "messages.stream", "responses": "responses.stream"}.get(api, "stream.sse")
    if told is None or stream is None:
        shown = (
            _failure(exchange) if response is None else response.json_body or response.text or response.status
        )
        yield clause, (*at, "stream"), "an event stream", shown
        return
    yield clause, (*at, "stream", "broken"), None, stream.broken
    if api in ("messages", "responses"):
        names = {frame.event for frame in stream.frames if isinstance(frame.data, dict)}
        shown = "unnamed events" if names == {"message"} else "named events"
        yield clause, (*at, "stream", "frames"), "named events", shown
    yield from _same_stream(scenario, meant, told, (*at, "stream", "message"), api, clause, spoken)
    yield (clause if api != "chat" else "stream.done"), (*at, "stream", "done"), True, told.whole


def _malformed(reply: ProviderReply) -> bool:
    """Return whether a provider's stream holds what is no event of JSON: a gateway may give up there."""
    bytes_ = any(event.raw is not None for event in reply.sse or [])
    return bytes_ or any(isinstance(f.data, str) and f.data != "[DONE]" for f in frames_of(reply))


def _same_stream(
    scenario: Scenario, meant: Meaning, told: Meaning, at: Parts, api: Api, clause: str, spoken: Api
) -> Iterator[Check]:
    chat = api == "chat"
    unicode = any(not text.isascii() for text in meant.texts)
    texts = "chat.unicode" if unicode else "stream.indexes" if chat and len(meant.finish) > 1 else clause
    yield texts, (*at, "texts"), meant.texts, told.texts
    finish = "stream.finish-reason" if chat else clause
    yield finish, (*at, "finish_reasons"), _gist(meant.finish, spoken, api), _gist(told.finish, spoken, api)
    if meant.calls:
        yield _TOOLS[api], (*at, "tool_calls"), meant.calls, told.calls
    asked = scenario.client[-1].json_
    options = asked.get("stream_options") if isinstance(asked, dict) else None
    wanted = not chat or (isinstance(options, dict) and options.get("include_usage") is True)
    if meant.usage is not None and wanted and spoken == api:
        yield ("stream.usage" if chat else clause), (*at, "usage"), meant.usage, told.usage
    if spoken == api == "messages" and any(meant.data or ()):
        yield "messages.thinking", (*at, "thinking"), meant.data, told.data


def _unfinished(
    meant: Meaning, told: Meaning | None, exchange: Exchange, at: Parts, finished: bool
) -> Iterator[Check]:
    """A stream that broke off, or ended in an error, must not look like one that came to its end."""
    failed = exchange.response is None or exchange.response.status >= 400 or told is None
    stream = exchange.response.stream if exchange.response is not None else None
    failed = failed or told.error is not None or (stream is not None and stream.broken is not None)  # type: ignore[union-attr]
    if meant.error is not None:
        shown = "an error" if failed else "a stream without one"
        yield "stream.error-after-first", (*at, "stream", "message", "error"), "an error", shown
    elif not finished and not failed and told is not None:
        invented = [
            one
            for one, other in zip(told.finish, [*meant.finish, None], strict=False)
            if one and one != other
        ]
        yield "stream.incomplete", (*at, "stream", "message", "finish_reasons"), [], invented
        yield "stream.incomplete", (*at, "stream", "done"), False, told.whole and not meant.whole
    elif not finished:
        yield "stream.incomplete", (*at, "stream"), "a failure", "a failure"


def _sent(
    scenario: Scenario, asked: ClientRequest, call: UpstreamCall, at: Parts, api: Api
) -> Iterator[Check]:
    """The provider receives what the client asked; across two APIs only the calls are counted."""
    body = asked.json_
    if spoken_api(scenario, api) != api or not isinstance(body, dict) or asked.encoding:
        return
    sent = call.body if isinstance(call.body, dict) else {}
    members = _MEMBERS[api]
    for name, value in body.items():
        if name not in _NOT_COMPARED and value is not None:
            yield members.get(name, members[""]), (*at, "body", name), value, sent.get(name, ABSENT)


def _calls(scenario: Scenario, seen: Observation) -> Iterator[Check]:
    hung_up = any(request.hang_up_after is not None for request in scenario.client)
    if hung_up and scenario.expect.provider.cancelled:
        yield "stream.disconnect", ("cancelled",), True, seen.cancelled
    if hung_up:
        return
    replies = scenario.provider
    good = all(r.status < 300 and r.fault is None for r in replies)
    final = all(r.status in (400, 401, 403, 404, 413, 422) for r in replies)
    streams = any(r.sse is not None for r in replies)
    if good or final:
        clause = "stream.one-call" if streams and good else "errors.retries"
        yield clause, ("upstream",), len(scenario.client), len(seen.upstream)
    if good and streams:
        yield "stream.immediate", ("held_back",), 0, seen.held_back


def spoken_api(scenario: Scenario, api: Api) -> Api:
    """Return the API in which the scenario's provider answers a request of this API."""
    if wire_of(scenario) == "anthropic":
        return "messages"
    if api == "messages":
        return "chat"
    if api == "responses" and (
        scenario.deployment.provider != "openai" or any(map(_is_chat, scenario.provider))
    ):
        return "chat"
    return api


def _is_chat(reply: ProviderReply) -> bool:
    if reply.sse is not None:
        return any(isinstance(f.data, dict) and "choices" in f.data for f in frames_of(reply))
    return isinstance(reply.json_, dict) and "choices" in reply.json_


def _failure(exchange: Exchange) -> Any:
    return exchange.failed or ("the client hung up" if exchange.hung_up else ABSENT)


def _sentence(body: Any) -> Any:
    error = body.get("error") if isinstance(body, dict) else None
    return error.get("message", ABSENT) if isinstance(error, dict) else ABSENT
