"""Providers that send more than anybody can take: it costs neither memory nor time, and the client hears why."""

from __future__ import annotations

import time

import pytest

from parity.targets.arms import ARMS
from tests.attacks.providers.hostile import MAX_ANSWER, MAX_FRAME, Scene
from tests.live.measures import AVAILABLE, family, resident

LARGER = f"The provider's answer is larger than {MAX_ANSWER} bytes."
FRAME = f"A frame of the provider's stream is larger than {MAX_FRAME} bytes."
PACKED = "The provider's answer is compressed in a way that it was not asked for."


@pytest.mark.skipif(not AVAILABLE, reason="measures by /proc")
@pytest.mark.parametrize(
    ("place", "stream", "message"),
    [
        ("huge", False, LARGER),
        ("huge", True, LARGER),
        ("bomb", False, LARGER),
        ("bomb", True, LARGER),
        ("line", True, FRAME),
        ("bombs", True, FRAME),
        ("brotli", False, PACKED),
    ],
)
@pytest.mark.parametrize("model", ["openai", "claude"])
@pytest.mark.parametrize("arm", ARMS)
def test_too_much(scene: Scene, arm: str, model: str, place: str, stream: bool, message: str) -> None:
    """It is a 502 that names the limit, soon, and nothing of it is kept."""
    for warm in ("well", "302/here"):  # what the first answer and the first failure load is nobody's attack
        scene.ask(arm, f"{model}/{warm}", stream=stream)
    before = resident(family(scene.pids[arm]))
    begun = time.monotonic()
    answer = scene.ask(arm, f"{model}/{place}", stream=stream)
    assert (answer.status_code, answer.json()["error"]["message"]) == (502, message)
    assert time.monotonic() - begun < 15
    assert resident(family(scene.pids[arm])) - before < 60  # MB


@pytest.mark.parametrize("arm", ARMS)
def test_a_stream_that_was_not_asked_for(scene: Scene, arm: str) -> None:
    """An endless line where a plain answer was asked for is a bad gateway, too."""
    answer = scene.ask(arm, "openai/line")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "bad_gateway")
