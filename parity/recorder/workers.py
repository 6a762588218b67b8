"""Records many scenarios at once: worker processes, each with a LiteLLM of its own to call as the sdk proxy does.

this process ─ stub provider, LiteLLM processes <──┬── worker ── Recorder, one scenario at a time
                                                   └── worker ── …
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec

from parity.catalogue.scenario import Scenario
from parity.recorder.servers import Servers, quick_retries, started
from parity.recording.file import Recording
from parity.support.cores import waiting_workers

WORTH_IT = 20
"""Recordings that take as long as a worker's start, which imports LiteLLM."""


def record(
    scenarios: Sequence[Scenario],
    each: Callable[[Scenario, Recording], None],
    workers: str = "0",
) -> None:
    """Record every scenario and hand each recording to `each`, in the scenarios' order.

    `workers`: how many processes, 0 for none but this one; `auto` for as many as are worth their start.
    Raises `ImportError` without LiteLLM, `LiteLLMProcessError` when it doesn't start, `RecordingError`.
    """
    if find_spec("litellm") is None:
        raise ModuleNotFoundError("No module named 'litellm'", name="litellm")
    with quick_retries():  # LiteLLM reads them when it is imported: in its process, in the workers, or here
        asyncio.run(_record(scenarios, each, _count(workers, len(scenarios))))


def _count(workers: str, scenarios: int) -> int:
    if workers == "auto":
        return min(waiting_workers(), scenarios // WORTH_IT)
    return min(int(workers), scenarios)


async def _record(
    scenarios: Sequence[Scenario], each: Callable[[Scenario, Recording], None], workers: int
) -> None:
    async with contextlib.AsyncExitStack() as closing:
        order = closing.enter_context(_pool(workers)) if workers else _here()
        ordered: dict[str, Order] = {}

        async def begin(group: Sequence[Scenario]) -> None:
            servers = await closing.enter_async_context(started(group))
            ordered.update({scenario.id: order(servers, scenario) for scenario in group})

        try:
            async with asyncio.TaskGroup() as beginning:
                for group in _groups(scenarios):
                    beginning.create_task(begin(group))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        for scenario in scenarios:
            each(scenario, await ordered[scenario.id]())


def _groups(scenarios: Iterable[Scenario]) -> list[list[Scenario]]:
    """Separate scenarios with fallbacks: LiteLLM tells in every error whether any of its models has some."""
    groups: dict[bool, list[Scenario]] = {}
    for scenario in scenarios:
        groups.setdefault(bool(scenario.deployment.fallbacks), []).append(scenario)
    return list(groups.values())


Order = Callable[[], Awaitable[Recording]]
"""Waits for a recording that was ordered; without workers it is made only then."""


def _here() -> Callable[[Servers, Scenario], Order]:
    """Record in this process, one scenario after the other."""
    from parity.recorder.recorder import make

    return lambda servers, scenario: lambda: make(servers, scenario)


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[Callable[[Servers, Scenario], Order]]:
    """Record in processes that end with this one, however it ends."""
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin)
    for _ in range(workers):
        pool.submit(_import)  # while the LiteLLM processes start

    def order(servers: Servers, scenario: Scenario) -> Order:
        made = pool.submit(_make, servers, scenario)
        return lambda: asyncio.wrap_future(made)

    try:
        yield order
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_loop = asyncio.Runner()
"""A worker's, the same for all of its scenarios, as LiteLLM keeps clients that belong to one."""


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the business of the process that started us
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _import() -> None:
    from parity.recorder import recorder  # noqa: F401


def _make(servers: Servers, scenario: Scenario) -> Recording:
    from parity.recorder.recorder import make

    return _loop.run(make(servers, scenario))
