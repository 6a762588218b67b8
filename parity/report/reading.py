"""Reads a JSON report back, so that every other format can be made of it, later and elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from parity.judging.jsondiff import ABSENT
from parity.judging.verdict import ScenarioVerdict, Verdict
from parity.report.schema import FORMAT, Report
from parity.support.json import read_json

VALUES = ("left", "right", "expected", "actual")


class ReportError(Exception):
    """Reports that a file is missing or holds no report; the message names the file and what would be right."""


def read(path: Path) -> Report:
    """Read `path`, a report.json or the folder of one. Raises `ReportError`."""
    file = path / "report.json" if path.is_dir() else path
    try:
        data = read_json(file.read_bytes())
    except OSError as error:
        raise ReportError(
            f"{file}: can't be read: {error.strerror}; `parity run` writes such a file"
        ) from None
    except ValueError as error:
        raise ReportError(f"{file}: no JSON that can be read: {error}") from None
    version = data.get("parity_report") if isinstance(data, dict) else None
    if version != FORMAT:
        raise ReportError(
            f"{file}: not a report of format {FORMAT}"
            + (f" but of {version}; make it again with this version" if version else "; give a report.json")
        )
    try:
        return Report.model_validate(_without_computed(data))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReportError(f"{file}: {where}: {first['msg']}") from None


def _without_computed(data: dict[str, Any]) -> dict[str, Any]:
    verdict = data.get("verdict")
    if isinstance(verdict, dict):
        _drop(verdict, Verdict)
        for scenario in verdict.get("scenarios", ()):
            _drop(scenario, ScenarioVerdict)
            for difference in scenario.get("differences", ()):
                _absent(difference)
            for cell in scenario.get("cells", {}).values():
                for violation in cell.get("violations", ()):
                    _absent(violation)
    return data


def _drop(data: dict[str, Any], model: type[BaseModel]) -> None:
    for name in model.model_computed_fields:
        data.pop(name, None)


def _absent(found: dict[str, Any]) -> None:
    """Put ABSENT where its marker stands; as in the ledger, a value that reads so is taken for it."""
    for name in VALUES:
        if found.get(name) == ABSENT.value:
            found[name] = ABSENT
