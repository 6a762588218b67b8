"""Runs in the LiteLLM process, before LiteLLM does: one request keeps the others waiting less.

fair      between the pieces of a stream others have their turn, and a client that has left is noticed
as given  the openai package sends messages without looking through them
little    LiteLLM keeps little of a stream
settled   the garbage collector doesn't look through what was loaded
"""

from __future__ import annotations

from typing import Any

from proxies.binary.inside import around_served
from proxies.support.collector import settle
from proxies.support.fairness import Fair
from proxies.support.litellm_streams import keep_little
from proxies.support.openai_bodies import send_as_given


def ease() -> None:
    """Change what uvicorn serves in this process, how openai sends, what LiteLLM keeps and the collector looks at."""

    def eased(app: Any) -> Fair:
        send_as_given()  # not before: LiteLLM has imported the openai package by now, which takes a second
        keep_little()
        settle()
        return Fair(app)

    around_served(eased)
