"""For each of the seven groups of promises the mistake that once broke it, as replacements in the proxies' text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Edit = tuple[str, str]
"""What stands there, and what is put in its place."""


@dataclass(frozen=True)
class Mutation:
    """`group` as in docs/testing.md. `edits` by file, relative to the root; each text must be found."""

    group: str
    mistake: str
    edits: Mapping[str, tuple[Edit, ...]]

    def apply(self, root: Path) -> None:
        """Edits the files below `root`. Raises `LookupError` for a text that isn't there, before any is written."""
        changed = {}
        for name, edits in self.edits.items():
            text = (root / name).read_text(encoding="utf-8")
            for old, new in edits:
                if old not in text:
                    raise LookupError(
                        f"{self.group}: {name} has no {old!r} any more; mend tests/mutations/groups.py"
                    )
                text = text.replace(old, new)
            compile(text, name, "exec")  # what can't be imported turns everything red, whatever it tests
            changed[root / name] = text
        for path, text in changed.items():
            path.write_text(text, encoding="utf-8")


_ITERATOR = (
    "async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:",
    "async def __iter__(self) -> Any:",
)
_GENERIC = '"messages": [{"role": "user", "content": "Hello"}]'

MUTATIONS = (
    Mutation(
        "1 routing",
        "/memory-routing/info is nested in `routing`",
        {
            "proxies/memory/routing.py": (
                ('return {\n            "user_id"', 'return {"routing": {\n            "user_id"'),
                ('"is_default": self.is_default,\n        }', '"is_default": self.is_default,\n        }}'),
            )
        },
    ),
    Mutation(
        "2 context",
        "retrieval is not wired into the handlers",
        {"proxies/front/model_call.py": (("if kind.layout\n", "if False\n"),)},
    ),
    Mutation(
        "3 ports",
        "the registry's method has another name",
        {"proxies/interceptor/ports.py": (("get_or_allocate_port", "get_port_for_project"),)},
    ),
    Mutation(
        "4 sessions",
        "a session can't be awaited",
        {
            "proxies/sessions.py": (
                ("async def get_session(", "def get_session("),
                ("            await self._cookies.ready()\n", "            pass\n"),
                (
                    "async with self._lock:\n            if self._closed:",
                    "if True:\n            if self._closed:",
                ),
            )
        },
    ),
    Mutation(
        "5 end to end",
        "a generic body goes upstream",
        {
            "proxies/binary/backend.py": (
                ('{"model": call.model, **call.params}', f'{{"model": call.model, {_GENERIC}}}'),
            ),
            "proxies/sdk/backend.py": (("{**params, **call.params, ", f"{{**params, {_GENERIC}, "),),
        },
    ),
    Mutation(
        "6 envelope",
        'errors are {"detail": …}',
        {
            "proxies/errors.py": (
                (
                    '    return {"error": {"message"',
                    '    return {"detail": error.message}\n    return {"error": {"message"',
                ),
            )
        },
    ),
    Mutation(
        "7 streaming",
        "a stream is no async iterator",
        {"proxies/binary/backend.py": (_ITERATOR,), "proxies/sdk/backend.py": (_ITERATOR,)},
    ),
)
