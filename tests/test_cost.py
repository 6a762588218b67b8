"""What a request and a command may cost, in calls and modules: counts that a busy machine doesn't change.

Milliseconds are measured by `parity bench`, on a machine of its own. Who makes something dearer on purpose raises a
bound here, and says why in the commit.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from parity.targets.arms import ARMS, Arm
from tests.promises.upstream import Upstream, ask, proxy, said
from tests.root import ROOT

MOST_CALLS = {"binary": 2150, "sdk": 4850}
"""Calls of Python functions for one small chat completion, client and double included, with the pinned libraries."""

NOT_FOR_A_LIST = {
    "aiohttp",
    "fastapi",
    "httpx",
    "jinja2",
    "litellm",
    "pytest",
    "rich",
    "ruamel",
    "starlette",
    "yaml",
}
NOT_FOR_HELP = NOT_FOR_A_LIST | {"pydantic"}
NOT_FOR_THE_BINARY_APP = {"jinja2", "litellm", "openai", "parity", "pytest"}

IMPORTED = """
import contextlib, io, sys
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    exec(sys.argv[1])
print(*{name.partition(".")[0] for name in sys.modules})
"""


COUNTED = "import asyncio, sys; from tests.test_cost import fewest_calls; print(asyncio.run(fewest_calls(sys.argv[1])))"


def python(program: str, argument: str) -> str:
    """Return what `program` prints in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", program, argument],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def calls_of(work: Callable[[], Any]) -> int:
    """How many Python functions are called until `work` is done, in this thread."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        await work()
    finally:
        sys.setprofile(before)
    return calls


async def fewest_calls(arm: Arm) -> int:
    """Return the calls of a small chat completion, from the application's door to the connection, once all is warm."""
    async with proxy(arm, Upstream()) as client:

        async def asked() -> None:
            assert said(await ask(client, "Hello?")) == "Hello?"

        for _ in range(3):
            await asked()
        return min([await calls_of(asked) for _ in range(3)])


@pytest.mark.parametrize("arm", ARMS)
def test_a_request_takes_no_more_calls(arm: Arm) -> None:
    """A small chat completion stays within its count, in a process in which no other test has left anything."""
    if arm == "sdk" and importlib.util.find_spec("litellm") is None:
        pytest.skip("the sdk proxy needs litellm")
    counted = int(python(COUNTED, arm))
    assert 0 < counted <= MOST_CALLS[arm]


@pytest.mark.parametrize(
    ("code", "not_for_it"),
    [
        ("import parity.cli; parity.cli.main(['--help'])", NOT_FOR_HELP),
        (
            "import parity.cli; parity.cli.main(['list'])",
            NOT_FOR_A_LIST - {"ruamel", "yaml"},
        ),
        ("import parity.commands.diff, parity.commands.report", {"litellm"}),
        ("import proxies.binary.app", NOT_FOR_THE_BINARY_APP),
    ],
    ids=("help", "list", "diff", "binary"),
)
def test_what_is_not_needed_is_not_imported(code: str, not_for_it: set[str]) -> None:
    """Each of these took a command most of the time that it needed to start."""
    assert not_for_it & set(python(IMPORTED, code).split()) == set()
