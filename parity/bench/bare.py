"""Serves what people would write themselves, and a floor: subjects of a bench.

    python -m parity.bench.bare litellm|httpx|echo PORT UPSTREAM_URL

`litellm` is FastAPI with `litellm.acompletion` and nothing else, `httpx` FastAPI with one httpx client that hands bytes
on, `echo` FastAPI that answers at once, without an upstream.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

KEY = "of-the-provider"
ECHOED = "How can I assist you today?"


def litellm_app(upstream: str) -> FastAPI:
    """Build the least that serves LiteLLM's function."""
    import litellm

    app = FastAPI()

    async def frames(chunks: Any) -> AsyncIterator[str]:
        async for chunk in chunks:
            yield f"data: {chunk.model_dump_json()}\n\n"
        yield "data: [DONE]\n\n"

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        body = await request.json()
        name = body.pop("model")
        base = f"{upstream}/{name}/v1"
        try:
            answer = await litellm.acompletion(
                model="openai/gpt-4o-mini", api_base=base, api_key=KEY, num_retries=0, max_retries=0, **body
            )
        except litellm.exceptions.APIError as error:
            return JSONResponse({"error": {"message": str(error)}}, error.status_code)
        except litellm.exceptions.BadRequestError as error:
            return JSONResponse({"error": {"message": str(error)}}, 400)
        if body.get("stream"):
            return StreamingResponse(frames(answer), media_type="text/event-stream")
        return JSONResponse(answer.model_dump(exclude_none=True))

    return app


def httpx_app(upstream: str) -> FastAPI:
    """Build the least that hands bytes on with httpx."""
    app = FastAPI()
    client = httpx.AsyncClient(trust_env=False, timeout=60, limits=httpx.Limits(max_connections=None))

    @app.post("/v1/{path:path}")
    async def forward(path: str, request: Request) -> Response:
        body = await request.body()
        asked = client.build_request(
            "POST",
            f"{upstream}/v1/{path}",
            content=body,
            headers={"authorization": f"Bearer {KEY}", "content-type": "application/json"},
        )
        answer = await client.send(asked, stream=True)
        kind = answer.headers["content-type"]
        if kind.startswith("text/event-stream"):
            return StreamingResponse(answer.aiter_raw(), answer.status_code, media_type=kind)
        content = await answer.aread()
        return Response(content, answer.status_code, media_type=kind)

    return app


def echo_app(upstream: str) -> FastAPI:
    """Build the floor: the body is read, and an answer sent that is always the same."""
    app = FastAPI()
    message = {"role": "assistant", "content": f"Hello! {ECHOED}"}
    answer = json.dumps(
        {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    ).encode()

    @app.post("/v1/chat/completions")
    async def echo(request: Request) -> Response:
        await request.body()
        return Response(answer, media_type="application/json")

    return app


APPS: dict[str, Callable[[str], FastAPI]] = {"litellm": litellm_app, "httpx": httpx_app, "echo": echo_app}


def main(arguments: list[str]) -> None:
    kind, port, upstream = arguments
    uvicorn.run(APPS[kind](upstream), host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1:])
