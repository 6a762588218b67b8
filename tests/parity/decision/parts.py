"""Measurements as small as a test needs them, in the form of the real ones."""

from __future__ import annotations

from typing import Any

from parity.measuring.model import Data, Machine, Measured, Names, Soak, Soaked, Source


def measured(data: Data | None, **rest: Any) -> Measured:
    machine = Machine(system="Linux", cpu="a CPU", cores=2, memory_gb=4.0, python="3.11.7")
    return Measured(
        **{
            "part": data.part if data else "none",
            "made": "2026-11-25T20:00:00+00:00",
            "seconds": 1.5,
            "command": "parity measure",
            "inputs": {"code": "1"},
            "machine": machine,
            "versions": {"litellm": "1.106.2"},
            "data": data,
            **rest,
        }
    )


def source(binary: int = 100, sdk: int = 50) -> Measured:
    names = {
        "binary": Names(public=["litellm.a"], internal=[], words=[]),
        "sdk": Names(public=[], internal=["litellm.b.c"], words=[]),
    }
    return measured(Source(names=names, lines={"binary": binary, "sdk": sdk}))


def soaked(**rest: Any) -> Soaked:
    usual = {"seconds": 10.0, "requests": 100, "wrong": 0, "cpu_ms": 2.0, "p50_ms": 4.0, "p99_ms": 9.0}
    return Soaked(**{**usual, "memory": [(0.0, 90.0), (5.0, 100.0)], **rest})


def soak(binary: Soaked | None = None, sdk: Soaked | None = None) -> Measured:
    return measured(Soak(connections=8, arms={"binary": binary or soaked(), "sdk": sdk or soaked()}))


def bench(**figures: dict[str, float]) -> dict[str, Any]:
    """A bench.json with a small chat over 1 and 8 connections and a stream over 1, by subject."""
    cells = [
        {
            "subject": subject,
            "workload": workload,
            "load": "closed",
            "connections": connections,
            "state": "MEASURED",
            "figures": {name: {"median": value * (connections**0.5)} for name, value in by_name.items()},
        }
        for subject, by_name in figures.items()
        for workload, connections in (("chat", 1), ("chat", 8), ("stream-200", 1))
    ]
    return {
        "parity_bench": 1,
        "cells": cells,
        "subjects": [{"name": subject, "peak_mb": 100.0} for subject in figures],
        "workloads": [
            {"name": "chat", "title": "a small chat", "chunks": 0},
            {"name": "stream-200", "title": "a stream", "chunks": 200},
        ],
    }
