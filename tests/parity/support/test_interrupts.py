"""A Ctrl-C waits for the end of what would swallow it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from parity.support.interrupts import ended_by_sigterm, held_back
from tests.root import ROOT


def test_a_ctrl_c_comes_after_the_body() -> None:
    """The body runs to its end, then KeyboardInterrupt is raised, and the handler is the former one again."""
    done = []

    def body() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("went on")

    with pytest.raises(KeyboardInterrupt), held_back():
        body()
    assert done == ["went on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_outweighs_a_failure_of_the_body() -> None:
    """What failed in the body stays visible as the context."""

    def body() -> None:
        signal.raise_signal(signal.SIGINT)
        raise LookupError("a fault")

    with pytest.raises(KeyboardInterrupt) as caught, held_back():
        body()
    assert isinstance(caught.value.__context__, LookupError)


def test_without_a_ctrl_c_nothing_is_raised() -> None:
    """A body that is left alone ends as it would, and a Ctrl-C afterwards raises at once."""
    with held_back():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    """A job in the background, whose shell made it ignore SIGINT, goes on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_back():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_runs_the_body_as_it_is() -> None:
    """Outside of the main thread, where no handler can be set, the body just runs."""
    done = []

    def work() -> None:
        with held_back():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.default_int_handler]


def test_litellm_cannot_swallow_a_ctrl_c(tmp_path: Path) -> None:
    """One that comes while litellm is imported ends the process, although litellm excepts everything."""
    (tmp_path / "litellm.py").write_text(
        "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept:\n    pass\nprint('imported')\n"
    )
    program = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import parity.recording.litellm_import\n"
        "print('went on')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.stdout == "imported\n"
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert done.returncode != 0


def test_a_sigterm_ends_the_body_in_order() -> None:
    """What the body would tidy up is tidied up; the exit code is the shell's, the handler the former one again."""
    before = signal.getsignal(signal.SIGTERM)
    done = []

    def body() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            done.append("tidied up")

    with pytest.raises(SystemExit) as ended, ended_by_sigterm():
        body()
    assert (ended.value.code, done) == (128 + signal.SIGTERM, ["tidied up"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_sigterm_is_the_main_threads() -> None:
    """Elsewhere the body runs as it is: another thread can't set a handler."""
    seen = []

    def body() -> None:
        with ended_by_sigterm():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
