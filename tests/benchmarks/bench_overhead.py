"""What each proxy adds to the time of a request, beside asking the provider directly.

    python -m tests.benchmarks.bench_overhead
    python -m tests.benchmarks.bench_overhead --rounds 1000 --json > overhead.json

The provider is on loopback and answers at once, so that what is seen is the proxies' own time. A round asks each of
the three once, plain and as a stream, in random order: what slows the machine down slows all of them. The ratio says
how many times as long as the direct request; compare runs by it rather than by milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from parity.targets.arms import ARMS
from parity.targets.stack import START_DEADLINE, ProxyProcess
from tests.live.far_end import FarEnd

KEY = "sk-of-the-benchmark-0123456789abcdef"
MODEL = "gpt-4o-mini"
DIRECT = "direct"
WARM_UP = 20
KINDS = ("plain", "stream")


def document(url: str) -> dict[str, Any]:
    params = {"model": f"openai/{MODEL}", "api_base": f"{url}/v1", "api_key": "of-the-provider"}
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": params}],
        "general_settings": {"master_key": KEY},
    }


async def timed(client: httpx.AsyncClient, kind: str) -> float:
    """Milliseconds until the answer is there: its last byte, of a stream its first event."""
    body = {"model": MODEL, "stream": kind == "stream", "messages": [{"role": "user", "content": "Hello?"}]}
    start = time.perf_counter()
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        pieces = answer.aiter_bytes()
        await anext(pieces)
        if kind == "stream":
            taken = time.perf_counter() - start
        async for _ in pieces:
            pass
    return 1000 * (taken if kind == "stream" else time.perf_counter() - start)


async def measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of every request: by kind, then by who was asked."""
    async with AsyncExitStack() as closing:
        provider = await closing.enter_async_context(FarEnd())
        config = Path(closing.enter_context(TemporaryDirectory(prefix="bench-"))) / "config.yaml"
        config.write_text(json.dumps(document(provider.url)))
        urls = {DIRECT: provider.url}
        processes = {arm: ProxyProcess(arm, config) for arm in ARMS}
        for process in processes.values():
            closing.callback(process.stop)
        deadline = time.monotonic() + START_DEADLINE
        for arm, process in processes.items():
            urls[arm] = await asyncio.to_thread(process.wait_listening, deadline)
        clients = {
            name: await closing.enter_async_context(
                httpx.AsyncClient(
                    base_url=url,
                    headers={"authorization": f"Bearer {KEY}"},
                    trust_env=False,
                    timeout=60,
                )
            )
            for name, url in urls.items()
        }
        for client in clients.values():
            for _ in range(WARM_UP):
                for kind in KINDS:
                    await timed(client, kind)
        seen: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in clients} for kind in KINDS}
        turns = [(kind, name) for kind in KINDS for name in clients]
        for _ in range(rounds):
            random.shuffle(turns)
            for kind, name in turns:
                seen[kind][name].append(await timed(clients[name], kind))
        return seen


def rows(seen: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """One a kind and who was asked, times in milliseconds; the ratio is that of the medians."""
    found = []
    for kind, by_name in seen.items():
        base = statistics.median(by_name[DIRECT])
        for name, times in by_name.items():
            median = statistics.median(times)
            found.append(
                {
                    "kind": kind,
                    "target": name,
                    "p50_ms": round(median, 2),
                    "p95_ms": round(statistics.quantiles(times, n=20)[-1], 2),
                    "added_ms": round(median - base, 2),
                    "ratio": round(median / base, 1),
                }
            )
    return found


def table(found: list[dict[str, Any]]) -> str:
    names = list(found[0])
    lines = [names, *([str(row[name]) for name in names] for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.bench_overhead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=300, help="requests of each kind to each (300)")
    parser.add_argument("--json", action="store_true", help="a list of rows instead of the table")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 2:
        parser.error("--rounds must be 2 or more: of one there is no median")
    found = rows(asyncio.run(measure(chosen.rounds)))
    print(json.dumps(found, indent=1) if chosen.json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
