"""Packed bodies: read like any other, never larger than a body may be, and everything but gzip refused."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxies.front.app import build_app
from proxies.front.encoding import Gunzip
from tests.proxies.front.fakes import KEY, FakeBackend, make_config

AUTH = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
BODY = b'{"model": "fast", "messages": [{"role": "user", "content": "hi"}]}'


async def post(content: Any, *encodings: str) -> tuple[httpx.Response, FakeBackend]:
    backend = FakeBackend(reply={"id": "1"})
    app = build_app(make_config(), backend)
    headers = [*AUTH.items(), *(("content-encoding", encoding) for encoding in encodings)]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.post("/v1/chat/completions", content=content, headers=headers), backend


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "identity, gzip"])
async def test_gzip_is_read(encoding: str) -> None:
    """By each of its names."""
    response, backend = await post(gzip.compress(BODY), encoding)
    assert response.status_code == 200
    assert backend.calls[0].params == {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("encoding", ["identity", ""])
async def test_what_is_not_packed_is_read_as_it_is(encoding: str) -> None:
    """`identity` says just that."""
    response, _ = await post(BODY, encoding)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "encodings", [["br"], ["zstd"], ["deflate"], ["gzip, gzip"], ["gzip", "gzip"], ["gzip, br"]]
)
async def test_any_other_is_refused(encodings: list[str]) -> None:
    """With what would be read, in words and in a header."""
    response, backend = await post(gzip.compress(BODY), *encodings)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "gzip")
    assert response.json()["error"]["code"] == "unsupported_media_type"
    assert "gzip" in response.json()["error"]["message"]
    assert backend.calls == []


@pytest.mark.parametrize(
    "content",
    [BODY, gzip.compress(BODY)[:-1], gzip.compress(BODY) + b"x", gzip.compress(BODY)[:12]],
    ids=["plain", "cut", "followed", "half"],  # the bytes hold the time, which differs from worker to worker
)
async def test_what_is_no_gzip_is_refused(content: bytes) -> None:
    """Plain, cut off, or with something behind it."""
    response, backend = await post(content, "gzip")
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "The request body is not valid gzip."
    assert backend.calls == []


async def test_an_empty_body_is_empty() -> None:
    """Nothing was packed, so it is no JSON either."""
    response, _ = await post(b"", "gzip")
    assert response.json()["error"]["message"] == "The request body is not valid JSON."


async def test_the_limit_is_on_what_comes_out() -> None:
    """A small body that unpacks to a large one is too large, and no more than the limit is unpacked."""
    bomb = gzip.compress(b" " * 500_000)
    assert len(bomb) < make_config().max_body_bytes
    response, backend = await post(bomb, "gzip")
    assert response.status_code == 413
    assert backend.calls == []


def test_parts_are_small() -> None:
    """However much a piece unpacks to, it comes in steps, so that others get their turn between them."""
    parts = list(Gunzip().feed(gzip.compress(b" " * 5_000_000)))
    assert max(map(len, parts)) <= 256 * 1024
    assert sum(map(len, parts)) == 5_000_000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=3), st.integers(1, 400), st.integers(1, 40))
def test_whatever_was_packed_comes_out(texts: list[bytes], size: int, times: int) -> None:
    """In pieces of any size, of one file or several, however well it packs."""
    texts = [text * times for text in texts]
    packed = b"".join(gzip.compress(text) for text in texts)
    gunzip = Gunzip()
    out = b"".join(
        part for start in range(0, len(packed), size) for part in gunzip.feed(packed[start : start + size])
    )
    gunzip.end()
    assert out == b"".join(texts)
