"""Opens a Redis, and says what went wrong with one without its password."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from proxies.support.redact import redact_text

Redis = Any
"""A `redis.asyncio.Redis`: its own types don't tell an answer from one that has to be waited for."""

_HEALTH_CHECK_SECONDS = 15


def opened(url: str, timeout: float) -> Redis:
    """A client of the Redis at `url`, whose connections are made when needed; close it with `aclose`.

    `timeout` in seconds holds for a connection and for each answer. Nothing is tried again by itself.
    """
    from redis import asyncio as library
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return library.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        health_check_interval=_HEALTH_CHECK_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def failures() -> tuple[type[Exception], ...]:
    """The exceptions with which a Redis fails."""
    from redis.exceptions import RedisError

    return RedisError, OSError


def told(error: Exception, url: str) -> str:
    """Say what an exception says, without the password of the URL."""
    password = unquote(urlsplit(url).password or "")
    return redact_text(f"{type(error).__name__}: {error}", *filter(None, [password]))
