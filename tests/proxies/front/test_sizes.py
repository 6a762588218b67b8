"""What one request may hold, and how it is told that it holds more."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest

from proxies.config.limits import Limits
from proxies.errors import ProxyError
from proxies.front.app import build_app
from proxies.front.sizes import apart, check_sizes, check_values, schema_size
from proxies.support.litellm_environment import stay_local
from tests.proxies.front.fakes import KEY, FakeBackend, make_config

LIMITS = Limits(max_values=1000, max_messages=3, max_parts=5, max_tools=2, max_schema_size=100)
TEXT = {"type": "text", "text": "a"}
AUTH = {"authorization": f"Bearer {KEY}"}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def doubling(depth: int, definitions: str = "$defs") -> dict[str, Any]:
    """A schema of a few lines whose references, written out, are 2 to the power of `depth`."""
    known: dict[str, Any] = {
        f"d{level}": {"anyOf": [{"$ref": f"#/{definitions}/d{level + 1}"}] * 2} for level in range(depth)
    }
    return {"$ref": f"#/{definitions}/d0", definitions: {**known, f"d{depth}": {"type": "string"}}}


def refused(check: Any, *arguments: Any) -> ProxyError:
    with pytest.raises(ProxyError) as error:
        check(*arguments)
    assert error.value.status == 400
    return error.value


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"messages": [user()] * 4}, "messages", "'messages' has 4 items: 3 at most"),
        ({"input": [user()] * 4}, "input", "'input' has 4 items: 3 at most"),
        ({"messages": [user(*[TEXT] * 3)] * 2}, "messages", "6 parts and tool calls in all: 5 at most"),
        (
            {"messages": [user({"type": "tool_result", "content": [TEXT] * 5})]},
            "messages",
            "6 parts and tool calls in all",
        ),
        ({"messages": [{"tool_calls": [{}] * 6}]}, "messages", "6 parts and tool calls in all"),
        ({"tools": [{}] * 3}, "tools", "'tools' has 3 items: 2 at most"),
        ({"functions": [{}] * 3}, "functions", "'functions' has 3 items: 2 at most"),
        ({"mcp_servers": [{}] * 3}, "mcp_servers", "'mcp_servers' has 3 items: 2 at most"),
        (
            {"tools": [{"parameters": doubling(16)}]},
            "tools",
            "100 values at most, each reference written out",
        ),
        ({"functions": [{"parameters": doubling(16)}]}, "functions", "too large at 'functions'"),
        ({"response_format": {"schema": doubling(16, "definitions")}}, "response_format", "100 values"),
        ({"output_format": {"schema": doubling(16)}}, "output_format", "100 values"),
        ({"output_config": {"format": doubling(16)}}, "output_config", "100 values"),
        ({"text": {"format": {"schema": doubling(16)}}}, "text", "100 values"),
        ({"tools": [{}], "text": {"a": [1] * 98}}, "text", "100 values"),
    ],
)
def test_too_much_is_told_with_its_number(body: dict[str, Any], param: str, said: str) -> None:
    """Each list and each schema has its limit, in every dialect, and the refusal says it."""
    error = refused(check_sizes, body, LIMITS)
    assert error.param == param
    assert said in error.message


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [user(TEXT), user(TEXT, TEXT, TEXT, TEXT), {"role": "user", "content": "a"}]},
        {"messages": "no list", "tools": None, "functions": 5, "response_format": "json"},
        {"messages": [5, None, {"content": [5]}], "input": [5, "a"]},
        {"tools": [{"parameters": doubling(2)}, {}]},
        {"tools": [{"$defs": 5, "definitions": [], "$ref": 5}]},
    ],
)
def test_what_fits_or_has_another_type_passes(body: dict[str, Any]) -> None:
    """Types are checked elsewhere; texts and tokens to be embedded are no messages."""
    check_sizes(body, LIMITS)


def test_tokens_to_be_embedded_are_no_messages() -> None:
    """As many as the body holds, in a list or in lists; of those lists, and of texts, there are as many as parts."""
    check_sizes({"input": list(range(500))}, LIMITS, embeds=True)
    check_sizes({"input": [list(range(500))] * 5}, LIMITS, embeds=True)
    for item in ("a", {}, [1]):
        error = refused(lambda item=item: check_sizes({"input": [item] * 6}, LIMITS, embeds=True))
        assert "'input' has 6 items: 5 at most" in error.message


def test_schemas_are_counted_as_litellm_writes_them_out() -> None:
    """A reference by its last word, definitions of the nearest object that has some, circles left as they are."""
    pytest.importorskip("litellm")
    stay_local()
    from litellm.litellm_core_utils.prompt_templates.common_utils import unpack_defs

    for schema in (
        doubling(3),
        {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
        {
            "$defs": {"a": {"x": {"$ref": "b"}}, "b": {"y": {"$ref": "a"}}},
            "anyOf": [{"$ref": "a"}, {"$ref": "c"}],
        },
        {
            "$defs": {"a": 1},
            "in": {"definitions": {"a": {"enum": [1, 2, 3]}}, "z": {"$ref": "#/definitions/a"}},
        },
    ):
        ours = schema_size(schema, 1000)
        unpacked = json.loads(json.dumps({"root": schema}))
        unpack_defs(unpacked, {})
        assert ours >= _values(_without_definitions(unpacked["root"]))


def _without_definitions(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_definitions(v) for k, v in value.items() if k not in ("$defs", "definitions")}
    return [_without_definitions(item) for item in value] if isinstance(value, list) else value


def _values(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_values, inner))


def test_a_long_chain_of_references_is_too_much() -> None:
    """Thousands that lead to one another count as more than any limit."""
    chain = {"$defs": {f"d{n}": {"$ref": f"d{n + 1}"} for n in range(3000)}, "$ref": "d0"}
    assert schema_size(chain, 1_000_000) == 1_000_000


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b"[" + b"1," * 998 + b"1]", True),
        (b"[" + b"1," * 1000 + b"1]", False),
        (b"[" + b"[]," * 600 + b"1]", False),
        (b"[" + b"{}," * 600 + b"1]", False),
        (json.dumps(["a, [b], {c}, " * 5000]).encode(), True),
        (json.dumps(['",\\[{' * 5000, "x"]).encode(), True),
        (json.dumps(["a,"] * 1200).encode(), False),
        (json.dumps({f"n{n},": f"v{n}," for n in range(900)}).encode(), True),
        (b'["' + b'","' * 9000 + b'"]', False),
    ],
)
def test_values_are_counted_before_they_are_parsed(body: bytes, fits: bool) -> None:
    """Commas and brackets in texts are none, whatever is escaped there."""
    if fits:
        check_values(body, LIMITS)
    else:
        assert "more than 1000 values" in refused(check_values, body, LIMITS).message


async def test_what_is_large_is_read_in_a_thread() -> None:
    """So is what refers to itself; the rest at once, where a thread would take longer than the work."""
    assert await apart(b"a" * 100, threading.get_ident) == threading.get_ident()
    assert await apart(b"a" * 100_000, threading.get_ident) != threading.get_ident()
    assert await apart(b'{"$ref": "a"}', threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize(
    "item", [{"role": "user", "content": "Hi"}, {"role": 5}, {"role": "user", "content": [TEXT]}, 5, [[]]]
)
async def test_others_are_served_while_a_hundred_thousand_messages_are_refused(item: Any) -> None:
    """Well-formed or not, they cost no call, and nobody waits for them."""
    backend = FakeBackend()
    config = make_config().model_copy(
        update={"general_settings": {"master_key": KEY, "max_request_size_mb": 20}}
    )
    sent = json.dumps({"model": "fast", "messages": [item] * 100_000}).encode()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build_app(config, backend)), base_url="http://proxy"
    ) as client:
        asking = asyncio.create_task(client.post("/v1/chat/completions", content=sent, headers=AUTH))
        served = 0
        while not asking.done():
            assert (await client.get("/health")).status_code == 200
            served += 1
            await asyncio.sleep(0)  # over a socket the loop would turn by itself
        answer = await asking
    assert answer.status_code == 400
    assert "100000 items: 2048 at most" in answer.text or "more than 400000 values" in answer.text
    assert backend.calls == []
    assert served > 5  # where the work stops the loop it is 1 or 2; the attacks measure the seconds
