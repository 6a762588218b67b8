"""Puts the mistake that once broke each group of promises back into a copy of the proxies, and shows what goes red.

    python -m tests.mutations               all seven groups
    python -m tests.mutations 1 6           some of them

Exit code 0: each mistake turns tests of its group red. 1: one stays green, or a promise is red without any.
2: a mistake can't be put in, or nothing could be played.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from tests.mutations.groups import MUTATIONS
from tests.mutations.playing import copy_of_the_project, play
from tests.test_promises import PROMISES

USAGE = 2


def main(arguments: list[str]) -> int:
    if unknown := set(arguments) - {mutation.group[0] for mutation in MUTATIONS}:
        print(__doc__, file=sys.stderr)
        return 0 if unknown <= {"-h", "--help"} else USAGE
    chosen = [m for m in MUTATIONS if not arguments or m.group[0] in arguments]
    progress, out = Console(stderr=True), Console(width=None if sys.stdout.isatty() else 160)
    table = Table("group", "mistake", "red", show_lines=True)
    table.add_column("tests and scenarios that went red", overflow="fold")
    table.add_column("what the first says", overflow="fold")
    started, stayed_green = time.monotonic(), []
    with progress.status("As it is…") if progress.is_terminal else _Quiet() as status:
        groups = {m.group: [p for p in PROMISES if p.group == m.group] for m in chosen}
        try:
            with copy_of_the_project() as root:
                before = play([p for promises in groups.values() for p in promises], root)
            if red := sorted(name for name, wrong in before.items() if wrong):
                print(f"Red without any mistake: {', '.join(red)}", file=sys.stderr)
                return 1
            for mutation in chosen:
                status.update(f"{mutation.group}: {mutation.mistake}…")
                with copy_of_the_project() as root:
                    mutation.apply(root)
                    after = play(groups[mutation.group], root)
                red = sorted(name for name, wrong in after.items() if wrong)
                if not red:
                    stayed_green.append(mutation.group)
                table.add_row(
                    mutation.group,
                    mutation.mistake,
                    f"{len(red)} of {len(after)}",
                    ", ".join(red),
                    _first_line(after, red),
                )
        except (LookupError, RuntimeError) as error:
            print(error, file=sys.stderr)
            return USAGE
    out.print(table, markup=False)
    seconds = time.monotonic() - started
    for group in stayed_green:
        out.print(f"{group}: nothing noticed the mistake", markup=False)
    out.print(
        f"{len(before)} green without a mistake · {len(chosen)} mistakes · {seconds:.0f} s", markup=False
    )
    return 1 if stayed_green else 0


def _first_line(said: dict[str, str], red: list[str]) -> str:
    return " ".join(said[red[0]].split())[:160] if red else ""


class _Quiet:
    """In place of a status line, where there is no terminal."""

    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, text: str) -> None:
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
