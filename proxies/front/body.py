"""From a request's bytes to parameters that may go upstream, or a `ProxyError` that says what is wrong.

body ── encoding 415 ── limit 413 ── JSON 400 ── an object 400 ── nesting 400 ── types 400 ──> parameters
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from proxies.errors import ProxyError
from proxies.front.encoding import gunzip_for
from proxies.support.jsontext import is_deeper


async def read_body(request: Request, limit: int, within: float | None = None) -> bytes:
    """The body, `limit` bytes at most; raises `ProxyError` 413 without reading further.

    `within` is in seconds, for the whole body; when it is over, `ProxyError` 408.
    """
    return b"".join([piece async for piece in read_pieces(request, limit, within)])


async def read_pieces(request: Request, limit: int, within: float | None = None) -> AsyncIterator[bytes]:
    """The body as it arrives, unpacked, with the same limits; `ProxyError` 415 for an encoding but gzip."""
    gunzip = gunzip_for(request)
    too_large = ProxyError(413, f"The request body is larger than {limit} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    size = unpacked = 0
    pieces = aiter(request.stream())
    deadline = None if within is None else asyncio.get_running_loop().time() + within
    while True:
        try:
            # Not around the loop: what the caller does with a piece is none of the client's time to be cut off.
            async with asyncio.timeout_at(deadline):
                piece = await anext(pieces)
        except StopAsyncIteration:
            if gunzip is not None:
                gunzip.end()
            return
        except TimeoutError:
            raise ProxyError(408, f"The request body did not arrive within {within:g} seconds.") from None
        size += len(piece)
        if size > limit:
            raise too_large
        if gunzip is None:
            yield piece
            continue
        for part in gunzip.feed(piece):
            unpacked += len(part)
            if unpacked > limit:
                raise too_large
            yield part
            await asyncio.sleep(0)


def parse_object(body: bytes, max_nesting: int) -> dict[str, Any]:
    """The JSON object that the body is, without a byte-order mark; raises `ProxyError` 400."""
    try:
        text = body.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        if "\\" in text and ("\\ud" in text or "\\uD" in text):
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair can't be sent on
    except RecursionError:
        raise _too_deep(max_nesting) from None
    except ValueError as error:
        raise ProxyError(400, "The request body is not valid JSON.") from error
    if not isinstance(value, dict):
        raise ProxyError(400, "The request body must be a JSON object.")
    if is_deeper(value, max_nesting):
        raise _too_deep(max_nesting)
    return value


def _too_deep(limit: int) -> ProxyError:
    return ProxyError(
        400, f"The request body is nested too deeply: {limit} lists and objects in one another at most."
    )


def name_model(body: dict[str, Any], deployment: str | None) -> None:
    """Give `body` the model of its path, as Azure's clients write it; raises `ProxyError` 400 if it names another."""
    if deployment is not None and body.setdefault("model", deployment) != deployment:
        raise ProxyError(
            400,
            "The parameter 'model' is not the deployment that the path names; send one of them.",
            param="model",
        )


def check_params(body: Mapping[str, Any], shape: type[BaseModel]) -> None:
    """Return when `body` fits `shape`; raises `ProxyError` 400 with `param`."""
    try:
        shape.model_validate(body)
    except ValidationError as invalid:
        raise _refusal(body, invalid) from None


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits} is out of range")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_MUST_BE = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "string_type": "a string",
}


def _refusal(body: Any, invalid: ValidationError) -> ProxyError:
    """About the first wrong parameter, and the deepest place in it: a union reports each of its branches."""
    errors = invalid.errors(include_url=False, include_input=False)
    found = [(*_place(body, e["loc"], e["type"]), e) for e in errors if e["loc"][:1] == errors[0]["loc"][:1]]
    deepest = max(depth for _, depth, _ in found)
    param, _, first = next(f for f in found if f[1] == deepest)
    there = [e for place, _, e in found if place == param]
    if first["type"] == "missing":
        return ProxyError(400, f"The parameter '{param}' is missing.", param=param)
    if any(e["type"] in ("too_short", "string_too_short") for e in there):
        return ProxyError(400, f"The parameter '{param}' must not be empty.", param=param)
    kinds = dict.fromkeys(_MUST_BE.get(e["type"], "of another type") for e in there)
    return ProxyError(400, f"The parameter '{param}' must be {' or '.join(kinds)}.", param=param)


def _place(body: Any, loc: tuple[int | str, ...], kind: str) -> tuple[str, int]:
    """The way to a place as clients write it (`messages[0].content`), and its depth."""
    param: str = ""
    value = body
    for depth, part in enumerate(loc):
        if isinstance(value, list) and isinstance(part, int) and part < len(value):
            param, value = f"{param}[{part}]", value[part]
        elif isinstance(value, dict) and (part in value or (kind == "missing" and depth == len(loc) - 1)):
            param, value = f"{param}.{part}" if param else str(part), value.get(part)
        elif depth < len(loc) - 1:
            continue  # names a branch of a union, not a place in the body
        else:
            break
    return param, param.count(".") + param.count("[")
