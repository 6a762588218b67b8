"""Runs in the LiteLLM process, before LiteLLM does: one request keeps the others waiting less.

kept     what LiteLLM has loaded is no garbage, and isn't looked through for it
fair     between the pieces of a stream others have their turn, and a client that has left is noticed
as given  the openai package sends messages without looking through them
"""

from __future__ import annotations

from typing import Any

from proxies.binary.inside import around_served
from proxies.support.fairness import Fair
from proxies.support.garbage import keep
from proxies.support.openai_bodies import send_as_given


def ease() -> None:
    """Change what uvicorn serves in this process, and how the openai package sends."""

    def eased(app: Any) -> Fair:
        keep()
        send_as_given()  # not before: LiteLLM has imported the openai package by now, which takes a second
        return Fair(app)

    around_served(eased)
