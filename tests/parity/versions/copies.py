"""Makes copies of LiteLLM for tests: packages that go by its name."""

from __future__ import annotations

from pathlib import Path


def copy_of_litellm(
    folder: Path, version: str = "1.2.3", needs: str = "click>=1", source: str = "planted = True\n"
) -> Path:
    """Write a package `litellm` with this source and its metadata into a folder, and return the folder."""
    (folder / "litellm").mkdir(parents=True)
    (folder / "litellm" / "__init__.py").write_text(source)
    about = folder / f"litellm-{version}.dist-info"
    about.mkdir()
    extra = 'Requires-Dist: litellm-proxy==9; extra == "proxy"\n'
    text = f"Metadata-Version: 2.1\nName: litellm\nVersion: {version}\nRequires-Dist: {needs}\n{extra}"
    (about / "METADATA").write_text(text)
    return folder
