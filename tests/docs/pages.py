"""Reads what the Markdown pages refer to: links, files, commands, tox environments, extras."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.root import ROOT

FOLDERS = ("docs", "tests", "parity", "proxies", "examples", ".github")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])

_FILE = re.compile(r"(?<![\w./*{-])(?:[\w.-]+/)*[\w-]+\.py\b(?!:)")
_PLACE = re.compile(r"(?<![\w./~$-])(?:proxies|parity|tests|docs|examples|\.ci|\.github)/[\w./\[\]-]*[\w/\]]")
_PLACEHOLDER = re.compile(r"[A-Z]{2,}|…|\*")
_TOX = re.compile(r"\btox -e ([a-z]+(?:,[a-z]+)*)")
_EXTRAS = re.compile(r"(?:proxy-parity|\.)\[([a-z]+(?:,[a-z]+)*)\]")
_COMMANDS = ("parity", "memory-proxy")


@dataclass(frozen=True)
class Link:
    """A link of a page to a file, and perhaps to a heading in it."""

    page: Path
    path: Path
    anchor: str


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    """A page's tokens, those inside of paragraphs and table cells included."""
    found = MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))
    return tuple(each for token in found for each in (token, *(token.children or ())))


def links(page: Path) -> Iterator[Link]:
    """The relative links of a page."""
    for token in tokens(page):
        target = token.attrGet("href") or token.attrGet("src")
        if target is None:
            continue
        parts = urlsplit(str(target))
        if parts.scheme or parts.netloc:
            continue
        path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        yield Link(page, path, parts.fragment)


def anchors(page: Path) -> set[str]:
    """What can stand behind `#` in a link to a page: its headings, as the hosting platforms spell them."""
    found: set[str] = set()
    whole = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    for index, token in enumerate(whole):
        if token.type == "heading_open":
            text = "".join(child.content for child in whole[index + 1].children or ())
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            number = sum(
                each == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", each) is not None for each in found
            )
            found.add(f"{slug}-{number}" if number else slug)
    return found


def prose(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    return "\n".join(token.content for token in tokens(page) if token.type in ("text", "code_inline"))


def shown(page: Path) -> Iterator[str]:
    """The code of a page: each inline piece, and each line of its console blocks, continued lines in one."""
    for token in tokens(page):
        if token.type == "code_inline":
            yield token.content
        elif token.type == "fence" and token.info.strip() == "console":
            yield from token.content.replace("\\\n", " ").splitlines()


def modules(page: Path) -> set[str]:
    """The Python files that the prose names, with or without their folders."""
    return set(_FILE.findall(prose(page)))


def places(page: Path) -> set[str]:
    """The paths of the repository that the prose and the commands name; placeholders are left out."""
    text = "\n".join([prose(page), *shown(page)])
    return {place for place in _PLACE.findall(text) if not _PLACEHOLDER.search(place)}


def environments(text: str) -> set[str]:
    """The tox environments of every `tox -e a,b` in a text."""
    return {name for names in _TOX.findall(text) for name in names.split(",")}


def extras(page: Path) -> set[str]:
    """The extras that a page says to install."""
    text = "\n".join(shown(page))
    return {name for names in _EXTRAS.findall(text) for name in names.split(",")}


def commands(lines: Iterator[str]) -> Iterator[list[str]]:
    """Our commands with their arguments, also those behind `&&`, a pipe or variables; without placeholders."""
    for line in lines:
        for part in re.split(r"&&|[|;)]|\$\(", line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # prose with an apostrophe
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if len(words) > 1 and words[0] in _COMMANDS:
                yield [word for word in words if word != "…"]
