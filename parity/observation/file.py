"""Reads and writes observation files: JSON Lines, a header line, then one observation a line, by scenario."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from parity.catalogue.scenario import Tier
from parity.observation.model import Header, Observation
from parity.support.files import write_text_atomic
from parity.support.json import read_json
from proxies.support.redact import redact_json

LEAKED = "(masked by the harness)"
Line = TypeVar("Line", bound=BaseModel)


class ObservationFileError(Exception):
    """Reports that a file is missing or holds something else; the message names file and line."""


@dataclass(frozen=True)
class ObservationFile:
    header: Header
    observations: tuple[Observation, ...]

    @classmethod
    def read(cls, path: Path) -> ObservationFile:
        """Read header and observations. Raises `ObservationFileError`."""
        try:
            # Not splitlines(): JSON may hold U+2028 and its like as they are.
            lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ObservationFileError(f"{path}: can't be read: {error}") from None
        if lines == [""]:
            raise ObservationFileError(f"{path}: is empty; `parity observe --out {path}` writes such a file")
        header = _parse(Header, lines[0], path, 1)
        return cls(
            header, tuple(_parse(Observation, line, path, number) for number, line in enumerate(lines[1:], 2))
        )

    def write(self, path: Path) -> None:
        """Write the whole file or none of it, without secrets: one that a target let through is masked and
        marked.
        """
        observations = sorted(self.observations, key=lambda o: o.scenario)
        lines: list[BaseModel] = [self.header, *map(redacted, observations)]
        write_text_atomic(path, "".join(dumps(line, ascii=False) + "\n" for line in lines))


def dumps(line: BaseModel, *, ascii: bool = True) -> str:
    """Write one line.

    pydantic's own JSON can't hold half a surrogate pair, which a target may well send.
    """
    return json.dumps(line.model_dump(mode="json"), ensure_ascii=ascii, separators=(",", ":"))


def loads(model: type[Line], line: str) -> Line:
    """Read what `dumps` wrote. Raises `ValueError` (pydantic's `ValidationError` is one) for anything else."""
    return model.model_validate(read_json(line))


def redacted(observation: Observation) -> Observation:
    """Return `observation` without secrets: one that a target let through is masked and marked."""
    data = observation.model_dump(mode="json")
    return Observation.model_validate(_marked(data, redact_json(data)))


def _marked(seen: Any, redacted: Any) -> Any:
    """Return `redacted`, masked strings marked as masked here: a target that masks mustn't look like one that
    leaks.
    """
    if isinstance(seen, dict) and isinstance(redacted, dict):
        return {key: _marked(seen[key], redacted[key]) for key in seen}
    if isinstance(seen, list) and isinstance(redacted, list):
        return [_marked(a, b) for a, b in zip(seen, redacted, strict=True)]
    return redacted if seen == redacted else f"{redacted} {LEAKED}"


def _parse(model: type[Line], line: str, path: Path, number: int) -> Line:
    try:
        return loads(model, line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the line"
        problem = f"{where}: {first['msg']}"
    except ValueError as error:
        problem = f"no JSON that can be read: {error}"
    kind = "a header" if model is Header else "an observation"
    raise ObservationFileError(f"{path}:{number}: not {kind}: {problem}")


DECIDING = ("litellm", "openai", "aiohttp", "httpx", "httpx-aiohttp", "fastapi", "uvicorn", "pydantic")
"""The packages whose versions decide what a target of ours answers."""


def versions(*packages: str, recordings: str | None = None) -> dict[str, str]:
    """Return the versions that decide an observation.

    They are those of this program, of Python, of `packages` where installed, and of LiteLLM in `recordings`.
    """
    found = {"python": platform.python_version()}
    for name in ("proxy-parity", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | ({"recordings": recordings} if recordings else {})


def header(name: str, architecture: str, tier: Tier, catalogue: str, made_with: dict[str, str]) -> Header:
    """Return the header of a file of our own targets, made with these versions."""
    return Header(
        target=name,
        architecture=architecture,
        litellm=made_with.get("recordings" if tier == "mocked" else "litellm"),
        tier=tier,
        catalogue=catalogue,
        versions=made_with,
    )


def observation_schema() -> dict[str, Any]:
    """Return the JSON schema of one line: a header or an observation."""
    schema: dict[str, Any] = TypeAdapter(Header | Observation).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Observation file line",
        **schema,
    }
