"""What a process loads before it serves is collected neither meanwhile nor later; what comes then is."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from proxies.binary import easing
from proxies.support import garbage
from proxies.support.fairness import Fair
from tests.root import ROOT

SERVED = """
import gc, os, signal
from starlette.applications import Starlette
from proxies.server.serving import Service, bind, serve

def create():
    print("loading", gc.isenabled())
    return Starlette()

def announce():
    print("serving", gc.isenabled(), gc.get_freeze_count() > 10_000)
    os.kill(os.getpid(), signal.SIGTERM)

serve([Service("app", create, bind("127.0.0.1", 0))], announce=announce)
print("stopped", gc.isenabled())
"""


def test_a_proxy_keeps_what_it_has_loaded() -> None:
    """From its first import until it answers nothing is collected, and all of it is left out from then on."""
    done = subprocess.run(
        [sys.executable, "-c", SERVED], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout.splitlines() == ["loading False", "serving True True", "stopped True"]


def test_a_proxy_that_does_not_start_collects_again() -> None:
    """Whoever calls `serve` gets the collector back as it was."""
    broken = SERVED.replace("return Starlette()", "raise SystemExit").replace("serve([", "try: serve([")
    done = subprocess.run(
        [sys.executable, "-c", broken.replace("announce)\n", "announce)\nfinally:\n    ")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout.splitlines() == ["loading False", "stopped True"]


def test_the_litellm_process_keeps_what_it_has_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once LiteLLM hands its app to its server, everything is there."""
    eased = []
    monkeypatch.setattr(easing, "around_served", eased.append)
    easing.ease()
    garbage.hold_off()
    try:
        assert not gc.isenabled()
        assert isinstance(eased[0](None), Fair)
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.enable()


def test_what_is_loaded_is_kept() -> None:
    """Nothing is collected meanwhile; after it, what is there is left out, unless somebody else holds off."""
    assert gc.isenabled()
    try:
        with garbage.kept():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        garbage.hold_off()
        with garbage.kept():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
