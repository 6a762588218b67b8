"""The section `shared_store` of the configuration: where several machines keep what they share."""

from __future__ import annotations

import importlib.util
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

_SCHEMES = ("redis", "rediss", "unix")


class SharedStore(BaseModel):
    """A Redis by its `url`; all keys there begin with `prefix`. `timeout` in seconds is that of one question to it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    url: str = Field(repr=False)
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = "memory-proxy"
    timeout: Annotated[float, Field(gt=0, le=60)] = 2.0

    @field_validator("url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            right = parts.scheme in _SCHEMES and bool(
                parts.path if parts.scheme == "unix" else parts.hostname
            )
            _ = parts.port
        except ValueError:
            right = False
        if not right:
            raise ValueError(
                "must be the URL of a Redis: redis://HOST:6379/0, rediss:// with TLS, or unix:///PATH"
            )
        if importlib.util.find_spec("redis") is None:
            raise ValueError("needs the package redis: pip install 'proxy-parity[redis]'")
        return value
