"""Providers that send a call elsewhere: nothing of it may arrive there."""

from __future__ import annotations

import pytest

from parity.targets.arms import ARMS
from tests.attacks.providers import hostile
from tests.attacks.providers.hostile import Scene

MODELS = ("openai", "claude", "groq")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("arm", ARMS)
def test_elsewhere(scene: Scene, arm: str, model: str, stream: bool) -> None:
    """No redirect to another origin is followed, whatever its status; the client hears of it, not where it led."""
    for place in hostile.PLACES:
        if place.endswith(("/elsewhere", "/user", "/port", "/nowhere")) and (
            model != "groq" or place in ("302/elsewhere", "307/elsewhere", "308/elsewhere")
        ):
            asked = len(scene.provider.requests)
            answer = scene.ask(arm, f"{model}/{place}", stream=stream)
            assert answer.status_code == 502, place
            error = answer.json()["error"]
            assert error["message"].startswith(f"The provider answered {place[:3]} "), place
            assert "127.0.0.1" not in answer.text
            assert len(scene.provider.requests) == asked + 1, place
            assert scene.trap.requests == [], place


@pytest.mark.parametrize("route", ["chat/completions", "messages", "responses", "embeddings"])
@pytest.mark.parametrize("arm", ARMS)
def test_every_route(scene: Scene, arm: str, route: str) -> None:
    """It is the same on each route to a model."""
    for model in ("openai", "claude"):
        if (model, route) != ("claude", "embeddings"):
            answer = scene.ask(arm, f"{model}/307/elsewhere", route)
            assert answer.status_code == 502
            assert "The provider answered 307 Temporary Redirect" in answer.text
    assert scene.trap.requests == []


@pytest.mark.parametrize("place", ["307/here", "308/here", "307/relative"])
@pytest.mark.parametrize("model", ["openai", "claude"])
@pytest.mark.parametrize("arm", ARMS)
def test_here(scene: Scene, arm: str, model: str, place: str) -> None:
    """A 307 or 308 to the same origin is followed with method, body and key, and its answer is the client's."""
    asked = len(scene.provider.requests)
    answer = scene.ask(arm, f"{model}/{place}")
    assert answer.status_code == 200, answer.text
    [(first, _, body), (second, headers, again)] = scene.provider.requests[asked:]
    assert second == first.replace(place, "well")
    assert again == body
    assert hostile.PROVIDER_KEY in str(headers)


@pytest.mark.parametrize("place", ["301/here", "302/here", "303/here", "300/here", "307/loop"])
@pytest.mark.parametrize("arm", ARMS)
def test_not_even_here(scene: Scene, arm: str, place: str) -> None:
    """What would lose the method is not followed to the same origin either, and a loop ends after three."""
    asked = len(scene.provider.requests)
    assert scene.ask(arm, f"openai/{place}").status_code == 502
    assert len(scene.provider.requests) - asked == (4 if place == "307/loop" else 1)
