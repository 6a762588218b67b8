"""The fenced blocks and the tables of a Markdown page."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt


@dataclass(frozen=True)
class Block:
    """A fenced block: the text, and the line of the page on which it begins, from 1."""

    text: str
    line: int


def blocks(page: Path, language: str) -> list[Block]:
    """The fenced blocks in this language, in their order."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    found = (token for token in tokens if token.type == "fence" and token.info.strip() == language)
    return [Block(token.content, token.map[0] + 2) for token in found if token.map]


def table(page: Path, first: str) -> list[list[str]]:
    """The rows of the table whose first column is headed `first`: each cell's text, code without its marks."""
    tables: list[list[list[str]]] = []
    tokens = MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))
    for token, inside in itertools.pairwise(tokens):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            tables[-1][-1].append("".join(child.content for child in inside.children or ()))
    return next(rows for (head, *_), *rows in tables if head == first)
