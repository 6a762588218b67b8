"""A stream of chunks, repaired before LiteLLM reads it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxies.chunks import NO_USAGE, WRITTEN, Unfinished, data_of, events, repaired


def chunk(delta: dict[str, Any], reason: str | None = None, **choice: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason, **choice}]}


def call(arguments: Any = None, **entry: Any) -> dict[str, Any]:
    """An entry of `tool_calls`: `name` goes into its function."""
    function = {
        name: value for name, value in (("name", entry.pop("name", None)), ("arguments", arguments)) if value
    }
    return {**entry, "function": function}


def calls(*entries: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return chunk({"tool_calls": list(entries)}, reason)


END = chunk({}, "tool_calls")


async def out(*sent: Any, translated: bool = False) -> list[Any]:
    """What comes of these chunks and texts: parsed, where it is JSON."""

    async def pieces() -> AsyncIterator[bytes]:
        for one in sent:
            yield one if isinstance(one, bytes) else f"data: {json.dumps(one)}\n\n".encode()

    seen = []
    async for event in repaired(pieces(), translated=translated):
        data = data_of(event)
        seen.append(json.loads(data) if data.startswith("{") else data)
    return seen


def put_together(chunks: list[Any]) -> list[tuple[int, str, str, str]]:
    """Every call with its index, id, name and arguments, in the order in which they began."""
    found: dict[int, list[str]] = {}
    for one in chunks:
        for choice in one["choices"] if isinstance(one, dict) else ():
            for entry in choice["delta"].get("tool_calls") or ():
                kept = found.setdefault(entry["index"], ["", "", ""])
                function = entry.get("function", {})
                for place, value in enumerate(
                    (entry.get("id"), function.get("name"), function.get("arguments"))
                ):
                    kept[place] += value or ""
    return [(index, kept[0], kept[1], kept[2]) for index, kept in found.items()]


F, G = {"id": "c1", "name": "f"}, {"id": "c2", "name": "g"}
DISORDERED = {
    "without an index": [calls(call('{"a":1}', **F)), calls(call('{"b":2}', **G))],
    "the same index": [calls(call('{"a":1}', index=0, **F)), calls(call('{"b":2}', index=0, **G))],
    "pieces without an index": [
        calls(call("", **F)),
        calls(call('{"a"')),
        calls(call(":1}")),
        calls(call('{"b":2}', **G)),
    ],
    "two in a chunk": [calls(call('{"a"', **F), call('{"b"', **G)), calls(call(":1}"), call(":2}"))],
    "interleaved": [
        calls(call('{"a"', index=0, **F)),
        calls(call('{"b"', index=1, **G)),
        calls(call(":1}", index=0)),
        calls(call(":2}", index=1)),
    ],
    "repeated ids": [
        calls(call('{"a"', index=0, **F)),
        calls(call(":1}", index=0, **F)),
        calls(call('{"b":2}', index=1, **G)),
    ],
    "arguments as an object": [calls(call({"a": 1}, **F)), calls(call({"b": 2}, **G))],
    "an entry that is none": [
        calls("?", call('{"a":1}', index=0, **F)),
        calls(call('{"b":2}', index=1, **G)),
    ],  # type: ignore[arg-type]
}


@pytest.mark.parametrize("translated", [False, True], ids=["chat", "other"])
@pytest.mark.parametrize("sent", DISORDERED.values(), ids=DISORDERED)
async def test_every_call_arrives_once(sent: list[Any], translated: bool) -> None:
    """However a provider numbers its calls, each has an index, an id, a name and arguments of its own."""
    seen = put_together(await out(*sent, END, b"data: [DONE]\n\n", translated=translated))
    assert [(i, id_, name, json.loads(text)) for i, id_, name, text in seen] == [
        (0, "c1", "f", {"a": 1}),
        (1, "c2", "g", {"b": 2}),
    ]


@pytest.mark.parametrize("sent", DISORDERED.values(), ids=DISORDERED)
async def test_another_dialect_gets_one_call_after_another(sent: list[Any]) -> None:
    """In each chunk is one piece of one call, and none of a call that others came after."""
    order = []
    *answer, _ = await out(*sent, END, translated=True)
    for one in answer:
        entries = one["choices"][0]["delta"].get("tool_calls") or []
        assert len(entries) <= 1
        order += [entry["index"] for entry in entries]
    assert order == sorted(order)


async def test_calls_without_an_id_get_one() -> None:
    """A client must be able to answer a call; the id is the same whenever the answer is."""
    sent = [calls(call('{"a":1}', index=0, name="f")), calls(call('{"b":2}', index=0, name="g")), END]
    first, second = put_together(await out(*sent)), put_together(await out(*sent))
    assert first == second
    assert [name for _, _, name, _ in first] == ["f", "g"]
    assert len({id_ for _, id_, _, _ in first}) == 2
    assert all(id_.startswith("call_") for _, id_, _, _ in first)


async def test_a_good_stream_stays_as_it_came() -> None:
    """Bytes that nobody has to change are not written anew."""
    whole = [
        b": ping\n\n",
        b'data: {"id":"c",  "choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\r\n\r\n',
    ]
    usage = b'data: {"choices":[],"usage":{"cost":1}}\n\n'

    async def pieces() -> AsyncIterator[bytes]:
        yield b"".join([*whole, usage])[:30]
        yield b"".join([*whole, usage])[30:]

    assert [event async for event in repaired(pieces(), translated=True)] == [*whole, usage]


async def test_refusals() -> None:
    """A refusal goes where LiteLLM leaves it; for another dialect it is text, and the end says what it was."""
    sent = [chunk({"refusal": "No"}), chunk({"refusal": "pe."}), chunk({}, "stop")]
    deltas = [one["choices"][0] for one in (await out(*sent))[:3]]
    assert [d["delta"].get("provider_specific_fields") for d in deltas] == [
        {"refusal": "No"},
        {"refusal": "pe."},
        None,
    ]
    others = [one["choices"][0] for one in (await out(*sent, translated=True))[:3]]
    assert "".join(d["delta"].get("content", "") for d in others) == "Nope."
    assert others[-1]["finish_reason"] == "content_filter"


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ([], "could not be read"),
        ([b"<html>", b"</html>"], "could not be read"),
        ([chunk({"content": "a"})], "closed the connection"),
        ([chunk({"content": "a"}), b"data: [DONE]\n\n"], "closed the connection"),
        ([chunk({"content": "a"}), chunk({}, "error")], "failed before its answer was complete"),
        ([chunk({"content": "a"}), chunk({}, "odd")], 'reason "odd", which is unknown'),
        (
            [
                {
                    "id": "c",
                    "choices": [chunk({}, "stop")["choices"][0], {"index": 1, "delta": {"content": "b"}}],
                }
            ],
            "closed",
        ),
    ],
)
async def test_no_end_is_invented(sent: list[Any], sentence: str) -> None:
    """A stream without an end, or with one that no API knows, breaks off."""
    with pytest.raises(Unfinished, match=sentence):
        await out(*sent)


async def test_the_providers_own_error_is_passed_on() -> None:
    """What a provider says of its failure is LiteLLM's to tell."""
    own = {"message": "Upstream died", "code": 502}
    assert (await out(chunk({"content": "a"}), chunk({}, "error", error=own)))[1]["error"] == own
    assert (await out({"error": own}))[0]["error"] == own


async def test_a_usage_is_marked_with_what_was_written() -> None:
    """The front can tell what LiteLLM adds to it, and a usage that LiteLLM has made up."""
    counted = {"choices": [], "usage": {"total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}}
    end = chunk({}, "stop")
    [one] = (await out(end, counted))[1:]
    details = one["usage"]["prompt_tokens_details"]
    assert one["usage"] == {"total_tokens": 3, "prompt_tokens_details": details}
    assert details["cached_tokens"] == 1
    assert json.loads(details[WRITTEN]) == counted["usage"]
    [one] = (await out(end))[1:]
    assert one["usage"]["prompt_tokens_details"] == {NO_USAGE: True}
    assert await out(end, counted, translated=True) == [end, counted]
    none = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert await out(end, translated=True) == [end, {**end, "choices": [], "usage": none}]


async def test_done_in_a_text_is_hidden() -> None:
    """Where LiteLLM looks for the end in every line, a text that quotes it isn't taken for it."""
    sent = chunk({"content": "[DONE]"}, "stop")

    async def pieces() -> AsyncIterator[bytes]:
        yield f"data: {json.dumps(sent)}\n\n".encode()

    first, *_ = [event async for event in repaired(pieces(), translated=True)]
    assert b"[DONE]" not in first
    assert json.loads(data_of(first)) == sent


async def test_events_come_when_they_are_whole() -> None:
    """An event ends with its blank line, whichever line ends it has; what is left at the end counts, too."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"data: a\r", b"\n\r", "\ndata: b\n\ndata: c\r\rdata: d\u2028".encode()):
            yield piece

    assert [event async for event in events(pieces())] == [
        b"data: a\r\n\r\n",
        b"data: b\n\n",
        b"data: c\r\r",
        "data: d\u2028".encode(),
    ]
    assert data_of("data: d\u2028e\ndata: f\n\n".encode()) == "d\u2028e\nf"
