"""Plays scenarios on the LiteLLM of this environment alone, process and SDK: `python -m parity.versions.alone`.

Started by `play` in an environment of another version. Writes a JSON object: for each scenario and subject, what was
answered, and as `upstream` what the provider was asked; generated ids and times are masked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from parity.catalogue.loading import Catalogue
from parity.catalogue.selection import Selection
from parity.judging.normalise import mask_json
from parity.recorder.drift import opened
from parity.recorder.probe import Probed, probe_each
from proxies.support.redact import redact_json


def main(out: str, subjects: str, expression: str, *paths: str) -> None:
    """Play the scenarios of these files and folders that the expression selects, and write what was seen.

    `subjects` are "process,sdk", or "sdk" alone, which needs no process.
    """
    wanted = subjects.split(",")
    chosen = Selection(expression).of(Catalogue.load(map(Path, paths)))

    async def play() -> dict[str, Any]:
        seen: dict[str, Any] = {}
        async with contextlib.aclosing(probe_each(list(chosen), process="process" in wanted)) as probes:
            async for scenario, probed in probes:
                for subject in wanted:
                    answers = [_seen(each, subject) for each in probed]
                    seen.setdefault(scenario.id, {})[subject] = redact_json(mask_json(answers))
        return seen

    Path(out).write_text(json.dumps(asyncio.run(play())), encoding="utf-8")


def _seen(probed: Probed, subject: str) -> dict[str, Any]:
    upstream = [call.model_dump(mode="json") for call in vars(probed)[f"{subject}_upstream"]]
    return {**(opened(vars(probed)[subject]) or {}), "upstream": upstream}


if __name__ == "__main__":
    main(*sys.argv[1:])
