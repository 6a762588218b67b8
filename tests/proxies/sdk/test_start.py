"""LiteLLM is told to stay local before it is imported, whatever the start of the sdk proxy does first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.root import ROOT

pytest.importorskip("litellm")

PROGRAM = """
import asyncio, os, sys

class Seen:
    def find_spec(self, name, path=None, target=None):
        if name == "litellm":
            print(os.environ.get("LITELLM_LOCAL_MODEL_COST_MAP"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Seen())
from proxies.sdk.backend import SdkBackend
from tests.proxies.front.fakes import make_config

asyncio.run(SdkBackend(make_config()).start())
"""


def test_it_asks_the_network_for_nothing_about_itself() -> None:
    """The variable that keeps its table of models local is set at the moment of the import."""
    environment = {k: v for k, v in os.environ.items() if k != "LITELLM_LOCAL_MODEL_COST_MAP"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout == "True\n", done.stderr
