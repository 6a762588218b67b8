"""Holds the base of what is read from and written to files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Can't be changed once made, and refuses keys that it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True)
