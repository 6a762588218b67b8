"""Builds the site: the Markdown pages as they stand in the repository, and the public surface from its docstrings.

The source folder is the repository itself (`tox -e docs`), so that a link which works there works on the site.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_PROJECT: dict[str, Any] = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = _PROJECT["name"]
version = release = installed(project)
copyright = "the proxy-parity maintainers"  # Sphinx reads this name

extensions = ["myst_parser", "sphinx.ext.autodoc"]
include_patterns = ["*.md", "docs/*.md", "docs/decisions/*.md", "tests/README.md"]
root_doc = "docs/index"
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 3
myst_links_external_new_tab = False

# Docstrings write `name` for code, as Markdown does.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
