"""Holds what is published of one measurement: the form of the files that `parity measure` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from parity.judging.ledger import Severity
from parity.support.frozen import Frozen

FORMAT: Literal[1] = 1


class MeasureError(Exception):
    """Reports a file of measurements that can't be used."""


class Machine(Frozen):
    """Holds where it was measured: its kind, never its name."""

    system: str
    cpu: str
    cores: int = Field(description="those that this run may use")
    memory_gb: float | None
    python: str


class Names(Frozen):
    """Holds the names of LiteLLM's that an architecture's code uses."""

    public: list[str] = Field(description="of the package itself, its exceptions and its types")
    internal: list[str] = Field(description="of any other module, or with an underscore")
    words: list[str] = Field(
        description="headers, variables, options, settings and addresses, by their names"
    )


class Source(Frozen):
    """Holds what was counted in the source."""

    part: Literal["source"] = "source"
    names: dict[str, Names] = Field(description="by architecture")
    lines: dict[str, int] = Field(description="of code that the other architecture doesn't have")


class Versions(Frozen):
    """Holds which scenarios a newer LiteLLM answers otherwise, by the recordings."""

    part: Literal["versions"] = "versions"
    before: str
    after: str
    scenarios: int
    changed: dict[str, list[str]] = Field(description="by architecture")


class Loss(Frozen):
    """Holds what a client notices of one architecture, and where it was seen."""

    severity: Severity
    notices: str
    clause: str
    scenarios: list[str]
    excused: bool = Field(description="the ledger lists it")


class Kept(Frozen):
    """Holds how many cells keep the contract by themselves, of how many."""

    kept: int
    cells: int


class Matrix(Frozen):
    """Holds what a run of the matrix showed."""

    part: Literal["mocked", "live"]
    line: str = Field(description="the verdict")
    exit_code: int
    expression: str = Field(description="which scenarios were played; empty: all")
    themes: dict[str, dict[str, Kept]] = Field(description="by theme, then by architecture")
    sessions: dict[str, Kept] = Field(description="cells of clauses on sessions, by architecture")
    losses: dict[str, list[Loss]] = Field(description="by architecture, the severest first")


class Start(Frozen):
    """Holds how a proxy starts, and what it holds before its first request but one."""

    cold_start_s: list[float] = Field(description="from the start of the process to the first answer")
    processes: int
    memory_mb: float | None = Field(description="resident, of all its processes")
    routes: list[str] | None = Field(None, description="that it knows, of those in `asked`")


class Starts(Frozen):
    part: Literal["starts"] = "starts"
    asked: list[str] = Field(default_factory=list, description="routes beside those of models")
    arms: dict[str, Start]


class Fault(Frozen):
    """Holds what came of one fault: survived when the port answered all the time, and chats again in time."""

    name: str
    survived: bool
    seconds: float | None = Field(description="until the next whole answer to a chat; null: none in time")
    answered: bool = Field(description="whether the proxy's port answered HTTP all the time")


class Faults(Frozen):
    part: Literal["faults"] = "faults"
    deadline_s: float
    arms: dict[str, list[Fault]]


class Soaked(Frozen):
    """Holds what a proxy did under steady load."""

    seconds: float
    requests: int
    wrong: int
    cpu_ms: float | None = Field(description="of a request, of all its processes")
    p50_ms: float
    p99_ms: float
    memory: list[tuple[float, float]] = Field(description="seconds since the start, MB")


class Soak(Frozen):
    part: Literal["soak"] = "soak"
    connections: int
    arms: dict[str, Soaked]


class Installed(Frozen):
    mb: float
    packages: int


class Install(Frozen):
    part: Literal["install"] = "install"
    arms: dict[str, Installed]


class Benched(Frozen):
    part: Literal["bench"] = "bench"
    bench: dict[str, Any] = Field(description="bench.json, as `parity bench` wrote it")


Data = Annotated[
    Source | Versions | Matrix | Starts | Faults | Soak | Install | Benched, Field(discriminator="part")
]


class Measured(Frozen):
    """Holds one part, when and how it was measured. Without data, `problem` says why."""

    parity_measure: Literal[1] = FORMAT
    part: str
    made: str = Field(description="when, ISO 8601, UTC")
    seconds: float = Field(description="how long it took")
    command: str = Field(description="measures it again")
    inputs: dict[str, str] = Field(description="what it depends on; when one changes it is measured anew")
    machine: Machine
    versions: dict[str, str]
    data: Data | None = None
    problem: str = ""


def measure_schema() -> dict[str, Any]:
    """Return the JSON schema of a file of `parity measure`."""
    schema = Measured.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Parity measurement",
    }


def read(path: Path) -> Measured:
    """Read one part's file. Raises `MeasureError`."""
    try:
        return Measured.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise MeasureError(f"{path}: no file of `parity measure`: {where}: {first['msg']}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MeasureError(f"{path}: can't be read: {error}") from None
