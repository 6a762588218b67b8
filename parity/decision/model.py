"""Holds what is published of a decision: the form of decision.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from parity.measuring.model import Machine
from parity.support.frozen import Frozen

FORMAT: Literal[1] = 1
ARMS = ("binary", "sdk")


class Factor(Frozen):
    """Holds one factor as it was measured. Without values, `problem` says why."""

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"]
    values: dict[str, float] | None = Field(description="by architecture; null: not measured")
    details: dict[str, str] = Field(default_factory=dict, description="what a value is made of, in words")
    evidence: str = Field("", description="the file of the measurement")
    command: str = Field("", description="measures it again")
    made: str = Field("", description="when, ISO 8601, UTC")
    note: str = ""
    problem: str = ""
    need: dict[str, str] = Field(
        default_factory=dict, description="what only an architecture can do, in words of those who need it"
    )


class Weighed(Frozen):
    """Holds a factor with its weight, its scores, and the weight at which both architectures are level."""

    factor: Factor
    weight: float
    scores: dict[str, float] | None = Field(description="1: the best of both; null: counts for neither")
    flip: float | None = Field(
        description="past it the other architecture wins; null: no weight of this one does it"
    )
    flip_exact: str | None = Field(None, description="the same as a fraction")
    direction: Literal["above", "below"] | None = None


class Decision(Frozen):
    """Holds the ranking, what it rests on, and the sentence."""

    parity_decision: Literal[1] = FORMAT
    winner: str | None = Field(description="null: level, or nothing was measured")
    sentence: str
    totals: dict[str, float] = Field(description="the weighted mean of the scores, by architecture")
    factors: list[Weighed]
    not_measured: list[str] = Field(description="names of factors that count for neither")
    machine: Machine | None
    versions: dict[str, str]
    made: list[str] = Field(description="the first and the last time at which something was measured")
    weights: str = Field(description="the name of the file with the weights")


def decision_schema() -> dict[str, Any]:
    """Return the JSON schema of decision.json."""
    schema = Decision.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Parity decision"}
