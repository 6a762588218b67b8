"""What LiteLLM records of a success, with somebody who reads it and with nobody."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from proxies.support import litellm_records
from proxies.support.litellm_records import record_for_listeners_alone

litellm = pytest.importorskip("litellm")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The records that were made."""
    from litellm.litellm_core_utils.litellm_logging import Logging

    record_for_listeners_alone()
    found: list[Any] = []
    original = Logging._build_standard_logging_payload

    def build(self: Any, *args: Any, **options: Any) -> Any:
        found.append(original(self, *args, **options))
        return found[-1]

    monkeypatch.setattr(Logging, "_build_standard_logging_payload", build)
    for name in ("callbacks", "success_callback", "_async_success_callback"):
        monkeypatch.setattr(litellm, name, [])
    return found


async def ask() -> None:
    """Ask for an answer that LiteLLM gives itself, and wait until what it does behind is done."""
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

    asked: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello?"}]}
    answer = await litellm.acompletion(**asked, mock_response="Hi.")
    assert answer.choices[0].message.content == "Hi."
    await asyncio.sleep(0)
    await asyncio.wait_for(GLOBAL_LOGGING_WORKER.flush(), 10)


async def test_nothing_is_recorded_for_nobody(made: list[Any]) -> None:
    """No record is made, and so no cost computed."""
    await ask()
    assert made == []


async def test_who_listens_is_told(made: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback of the program around gets the record, as LiteLLM makes it."""
    from litellm.integrations.custom_logger import CustomLogger

    told: list[Any] = []

    class Listener(CustomLogger):
        async def async_log_success_event(self, kwargs: Any, **_: Any) -> None:
            told.append(kwargs["standard_logging_object"]["model"])

    monkeypatch.setattr(litellm, "callbacks", [Listener()])
    await ask()
    assert told == ["gpt-4o-mini"]
    assert len(made) >= 1


@pytest.mark.parametrize("name", litellm_records._OF_ONE)
def test_a_call_may_have_listeners_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of one call count, and so does one of whom it isn't known."""
    for of_all in litellm_records._OF_ALL:
        monkeypatch.setattr(litellm, of_all, [])
    nobody = dict.fromkeys(litellm_records._OF_ONE)
    assert not litellm_records._has_listeners(SimpleNamespace(**nobody))
    assert litellm_records._has_listeners(SimpleNamespace(**{**nobody, name: ["langfuse"]}))
    assert litellm_records._has_listeners(SimpleNamespace())
    monkeypatch.setenv(litellm_records._PRINTS, "1")
    assert litellm_records._has_listeners(SimpleNamespace(**nobody))


def test_it_is_changed_once(made: list[Any]) -> None:
    """A second backend in the same process changes nothing more."""
    from litellm.litellm_core_utils.litellm_logging import Logging

    before = Logging._async_success_handler_body
    record_for_listeners_alone()
    assert Logging._async_success_handler_body is before
