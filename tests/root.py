"""Names the folder that the repository lies in, once for all tests."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
