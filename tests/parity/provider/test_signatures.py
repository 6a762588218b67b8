"""Thinking blocks that come back: genuine ones pass, altered ones are refused as Anthropic's API refuses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from parity.catalogue import loading
from parity.provider.server import base_url, serve_in_thread
from parity.provider.signatures import altered, signed

(AGAIN,) = loading.read_file(Path(loading.BUILT_IN) / "messages" / "thinking_again.yaml")
(RESULT,) = loading.read_file(Path(loading.BUILT_IN) / "messages" / "tool_result.yaml")
THOUGHT = "The weather: I need the tool."
SIGNATURE = "EqQBCgIYAhIM3cZqDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"


def body(**block: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": [block]}]}


def test_a_streamed_block_is_genuine_as_a_whole() -> None:
    """Its text and its signature are put together from the stream's deltas."""
    without_client = AGAIN.model_copy(update={"client": []})
    block = {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}
    assert altered(body(**block), signed(without_client)) is None


@pytest.mark.parametrize(
    "change", [{"thinking": "Another thought."}, {"signature": SIGNATURE[:-1]}, {"signature": None}]
)
def test_an_altered_block_is_refused_with_its_place(change: dict[str, Any]) -> None:
    """Whichever of the two was changed, or left out."""
    block = {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE, **change}
    refused = altered(body(**block), signed(AGAIN))
    assert refused is not None
    assert refused.status == 400
    assert refused.json_["error"] == {
        "type": "invalid_request_error",
        "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
    }


def test_what_holds_no_thinking_is_never_refused() -> None:
    """Whatever was sent instead of a request."""
    assert all(
        altered(value, frozenset()) is None for value in (None, "x", [], {}, body(type="text", text="x"))
    )


def test_a_client_may_bring_a_block_along() -> None:
    """A scenario that begins in the middle of a conversation; also one whose body is text."""
    request = RESULT.client[0]
    assert altered(request.json_, signed(RESULT)) is None
    as_text = request.model_copy(
        update={"json_": None, "body": '{"type": "thinking", "thinking": "a", "signature": "b"}'}
    )
    block = {"type": "thinking", "thinking": "a", "signature": "b"}
    assert altered(body(**block), signed(RESULT.model_copy(update={"client": [as_text]}))) is None
    broken = request.model_copy(update={"json_": None, "body": "{"})
    assert altered(body(**block), signed(RESULT.model_copy(update={"client": [broken]}))) is not None


def test_the_stub_refuses_it() -> None:
    """The second turn of a conversation is answered as long as the block is the one of the first."""
    with serve_in_thread([AGAIN]) as provider:
        url = f"{base_url(provider.url, 'any', AGAIN.id)}/v1/messages"
        with httpx.Client(trust_env=False) as client:
            first = client.post(url, json=AGAIN.client[0].json_)
            right = client.post(url, json=AGAIN.client[1].json_)
            wrong = client.post(url, json=body(type="thinking", thinking=THOUGHT, signature="other"))
    assert (first.status_code, right.status_code, wrong.status_code) == (200, 200, 400)
