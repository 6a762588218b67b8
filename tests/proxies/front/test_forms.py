"""A form comes out with the same parts, and what could be read in two ways doesn't come out at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxies.errors import ProxyError
from proxies.front.forms import Rewriter
from tests.turns import turns_during

FILE = b'Content-Disposition: form-data; name="file"; filename="f"'


def part(header: bytes, content: bytes = b"x") -> bytes:
    return b"--b\r\n%b\r\n\r\n%b\r\n" % (header, content)


def field(name: str, content: bytes = b"x") -> bytes:
    return part(b'Content-Disposition: form-data; name="%b"' % name.encode(), content)


async def rewritten(
    form: bytes, size: int = 10_000, check: Any = lambda name, value: None, most: int = 100
) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(form), size):
            yield form[at : at + size]

    rewriter = Rewriter(b"b", check, most)
    out = b"".join([piece async for piece in rewriter.checked(pieces())])
    boundary = rewriter.content_type.partition("boundary=")[2].encode()
    return out.replace(boundary, b"OURS")


@pytest.mark.parametrize("size", [1, 3, 10_000])
async def test_parts_come_out_as_they_went_in(size: int) -> None:
    """Wherever the bytes are cut; headers that nobody needs, and what comes after the end, stay out."""
    form = (
        field("purpose", b"batch")
        + field("image[]", b"1")
        + field("image[]", b"2")
        + field("expires_after[anchor]", b"created_at")
        + field("model", "é".encode())
        + part(FILE + b"\r\nX-More: y\r\nContent-Type: text/plain", b"\x00\xff\r\n--x")
        + b"--b--\r\nafter"
    )
    assert await rewritten(form, size) == (
        b'--OURS\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--OURS\r\nContent-Disposition: form-data; name="image[]"\r\n\r\n1\r\n'
        b'--OURS\r\nContent-Disposition: form-data; name="image[]"\r\n\r\n2\r\n'
        b'--OURS\r\nContent-Disposition: form-data; name="expires_after[anchor]"\r\n\r\ncreated_at\r\n'
        b'--OURS\r\nContent-Disposition: form-data; name="model"\r\n\r\n\xc3\xa9\r\n'
        b'--OURS\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: text/plain\r\n\r\n'
        b"\x00\xff\r\n--x\r\n--OURS--\r\n"
    )


async def test_each_field_is_checked_under_the_name_that_litellm_reads() -> None:
    """Without brackets; and with its value where LiteLLM obeys it."""
    seen = []
    form = (
        field("a[]")
        + field("expires_after[anchor]")
        + field("metadata", b"{}")
        + field("model", b"m")
        + b"--b--"
    )
    await rewritten(form, check=lambda name, value: seen.append((name, value)))
    assert seen == [("a", None), ("expires_after", None), ("metadata", "{}"), ("model", "m")]


async def test_no_quote_gets_out_of_a_file_name() -> None:
    """However a name is written, it is one name in what goes up."""
    header = b'Content-Disposition: form-data; name="file"; filename="a\\"; name=\\"api_base"'
    out = await rewritten(part(header) + b"--b--")
    assert b'name="file"; filename="a%22; name=%22api_base"\r\n' in out


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (field("a[b]"), r"field name 'a\[b\]' is not allowed"),
        (field("[]a"), "is not allowed"),
        (field("a[][]"), "is not allowed"),
        (field("a b"), "is not allowed"),
        (field("é"), "is not allowed"),
        (field("a") + field("a"), "'a' is there twice"),
        (field("a") + field("a[]"), "with and without brackets"),
        (field("a[]") + field("a"), "with and without brackets"),
        (field(""), "has no name"),
        (part(b"X: y"), "has no name"),
        (part(b'Content-Disposition: attachment; name="a"'), "has no name"),
        (part(FILE + b"\r\n" + FILE), "has a header twice"),
        (field("model", b"\xff"), "must be UTF-8"),
        (part(b'Content-Disposition: form-data; name="\xff"'), "must be UTF-8"),
        (field("metadata", b"x" * 70_000), "larger than 65536 bytes"),
    ],
)
async def test_what_could_be_read_otherwise_is_refused(form: bytes, message: str) -> None:
    """With a sentence that says which part it is."""
    with pytest.raises(ProxyError, match=message) as caught:
        await rewritten(form + b"--b--\r\n")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "form", [b"", b"nonsense", field("a"), field("a") + b"--b", b"--b\r\nno header\r\n\r\n"]
)
async def test_half_a_form_is_none(form: bytes) -> None:
    """What has no end, or no beginning, is not a valid form."""
    with pytest.raises(ProxyError, match="not a valid form"):
        await rewritten(form)


async def test_more_fields_than_allowed() -> None:
    """A form has so many fields and no more, whatever they are called; the message says how many."""
    form = field("a[]") * 5
    assert await rewritten(form + b"--b--\r\n", most=5)
    with pytest.raises(ProxyError, match="more than 4 fields") as refused:
        await rewritten(form + b"--b--\r\n", most=4)
    assert refused.value.status == 400


async def test_a_part_with_large_headers() -> None:
    """What stands above a part is limited by the parser, whether it is one header or many."""
    for more in (b"X-A: " + b"x" * 9000, b"\r\n".join(b"X-%d: y" % n for n in range(1500))):
        with pytest.raises(ProxyError, match="not a valid form"):
            await rewritten(part(FILE + b"\r\n" + more) + b"--b--\r\n")


async def test_others_have_their_turn() -> None:
    """A form that is there as a whole is read in steps, between which the event loop goes on."""
    form = part(FILE, b"x" * 1_000_000) + b"--b--\r\n"
    assert await turns_during(rewritten(form, size=2_000_000)) > 50
