"""Holds the base of what is read from and written to files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Forbids changes once made, and unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
