"""Groups the places of a run by cause: one finding for all places that one ledger entry explains."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from parity.judging.noise import place as place_of
from parity.judging.verdict import Entry
from parity.report.places import Place


@dataclass(frozen=True)
class Known:
    """Holds what the ledger explains with one reason: its places, and how to reproduce each without the
    proxies.

    `winner` is that of its places (see `Place.winner`): a reason that favours one target here and another there is two
    findings.
    """

    kind: str
    clause: str
    why: str
    winner: str
    litellm: tuple[str, ...]
    probes: tuple[str, ...]
    places: tuple[Place, ...]

    @property
    def key(self) -> str:
        """Return a name that stays the same as long as the wording of the reason does."""
        words = "\n".join((self.kind, self.clause, self.why, self.winner))
        return f"ledger-{hashlib.sha256(words.encode('utf-8', 'backslashreplace')).hexdigest()[:10]}"


@dataclass(frozen=True)
class Open:
    """Holds places that nothing explains: one kind of trouble, at one path, by the same targets."""

    state: str
    kind: str
    path: str
    wrong: tuple[str, ...]
    places: tuple[Place, ...]


def known(places: Iterable[Place]) -> list[Known]:
    """Group explained places by reason and winner, the group with the most scenarios first.

    A place where nothing expected decides goes with the others of its reason, as long as they agree on who is right.
    """
    reasons: dict[tuple[str, str, str], dict[str, list[tuple[Place, Entry]]]] = {}
    for place in places:
        for entry in place.entries:
            winners = reasons.setdefault((entry.kind, entry.clause, entry.why), {})
            winners.setdefault(place.winner, []).append((place, entry))
    found = []
    for reason, winners in reasons.items():
        decided = [winner for winner in winners if winner != "either"]
        if len(decided) == 1:
            winners[decided[0]] += winners.pop("either", [])
        for winner, group in winners.items():
            found.append(
                Known(
                    *reason,
                    winner=winner,
                    litellm=tuple(sorted({entry.litellm for _, entry in group})),
                    probes=tuple(dict.fromkeys(entry.probe for _, entry in group)),
                    places=tuple(place for place, _ in group),
                )
            )
    return sorted(found, key=lambda f: -len({place.scenario for place in f.places}))


def unknown(places: Iterable[Place]) -> list[Open]:
    """Group unexplained places by kind, path and wrong side; places in a list go together, whatever their number.

    Differences come before broken clauses, the most frequent first. The path of a group whose places stand at several
    is written with `[*]`.
    """
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[Place]] = {}
    for place in places:
        if place.unlisted:
            key = (place.state, place.kind, place_of(place.path), place.wrong)
            groups.setdefault(key, []).append(place)
    found = []
    for (state, kind, anywhere, wrong), group in groups.items():
        paths = {place.path for place in group}
        path = paths.pop() if len(paths) == 1 else anywhere
        found.append(Open(state, kind, path, wrong, places=tuple(group)))
    return sorted(found, key=lambda f: (f.state != "unexplained", -len(f.places)))
