"""Judges a gateway: starts it in front of the stub, plays what applies, and counts by clause."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.gateways.applicable import SAYS_NOTHING, prepared, why_not
from parity.gateways.process import install, running
from parity.gateways.profile import Profile
from parity.gateways.target import GatewayTarget
from parity.judging.contract import Violation
from parity.judging.duties import duties
from parity.judging.jsondiff import ABSENT
from parity.judging.levels import clauses
from parity.judging.normalise import mask_json
from parity.observation.model import Observation
from parity.provider.server import refused_url, serve_in_thread
from parity.support.files import files_digest
from parity.support.frozen import Frozen
from parity.targets.deployments import config_document
from parity.targets.official import Player
from proxies.support.redact import redact_json

AT_ONCE = 4
Run = Callable[[Profile, Path, Mapping[str, Any]], AbstractContextManager[str]]
CELL_PATIENCE = 120.0
LONGEST_TEXT = 2000
_PACKAGE = Path(__file__).parents[1]
_DECIDING = ("catalogue", "gateways", "judging", "observation", "provider", "targets")
"""The folders of code that a verdict depends on."""


class ClauseVerdict(Frozen):
    """Holds how a gateway keeps one clause: in how many scenarios it was looked at, and where it is broken."""

    level: str
    checked: int
    broken: dict[str, list[Violation]] = Field(default_factory=dict, description="by scenario")

    @property
    def met(self) -> int:
        return self.checked - len(self.broken)


class GatewayVerdict(Frozen):
    """Holds the verdict on one gateway. Nothing in it depends on time, order, ports or machine."""

    name: str
    title: str
    about: str
    note: str = ""
    version: str
    client: str = Field("", description="the official client that asked, with its version; empty: none")
    applicable: int
    flawless: int = Field(description="the applicable scenarios in which no clause is broken")
    not_applicable: dict[str, int] = Field(description="by reason")
    looked_at: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="by applicable scenario: the clauses that it looks at"
    )
    catalogue: str = Field("", description="sha256 over the scenarios that were chosen")
    rules: str = Field("", description="a hash of the profile, the clauses and the code that judged")
    clauses: dict[str, ClauseVerdict]

    @property
    def ok(self) -> bool:
        return self.applicable > 0 and self.flawless == self.applicable

    @property
    def asked_by(self) -> str:
        """Return who asked where it was an official client, to stand behind the version: `, asked by openai 2.54.0`."""
        return f", asked by {self.client}" if self.client else ""

    @property
    def command(self) -> str:
        """Return the command that makes this verdict."""
        client = f" --client {self.client.partition(' ')[0]}" if self.client else ""
        return f"parity judge {self.name}{client}"

    @property
    def line(self) -> str:
        word = "PASS" if self.ok else "FAIL" if self.applicable else "INCOMPLETE"
        broken = [name for name, clause in self.clauses.items() if clause.broken]
        return (
            f"{word} {self.name} {self.version}{self.asked_by}: {self.flawless} of {self.applicable} applicable "
            "scenarios met · "
            f"clauses {len(self.clauses) - len(broken)} of {len(self.clauses)} kept · "
            f"not applicable {sum(self.not_applicable.values())}"
        )


def client_of(player: Player | None) -> str:
    """Return name and version of an official client, such as `openai 2.54.0`; empty for none."""
    return f"{player} {installed_version(player)}" if player else ""


def rules_for(profile: Profile) -> str:
    """Return a short hash of what decides a verdict beside the scenarios: the profile, the clauses, and the code."""
    return hashlib.sha256(f"{_code()}\n{profile.model_dump_json()}".encode()).hexdigest()[:16]


@cache
def _code() -> str:
    files = [file for name in _DECIDING for file in (_PACKAGE / name).rglob("*.py")]
    return files_digest([*files, _PACKAGE / "clauses.yaml"], _PACKAGE)


class Played(NamedTuple):
    """Holds what a gateway showed: the scenarios that apply, what was seen of each, and why others don't apply."""

    owing: list[Scenario]
    seen: list[Observation]
    reasons: Counter[str]
    words: dict[str, str]
    """Addresses of this run, and what stands for them in a verdict."""


def judge_gateway(
    profile: Profile,
    scenarios: Iterable[Scenario],
    *,
    say: Callable[[str], None] = lambda _: None,
    advance: Callable[[str], None] = lambda _: None,
    at_once: int = AT_ONCE,
    run: Run = running,
    player: Player | None = None,
) -> GatewayVerdict:
    """Install, start, play and judge. Raises `GatewayError` and `ProfileError`.

    `player` is the official client that asks; None asks without one. `run` starts the gateway, given the profile,
    where it is installed, and what its templates know; it yields its URL.
    """
    chosen = tuple(scenarios)
    played = play_gateway(profile, chosen, say=say, advance=advance, at_once=at_once, run=run, player=player)
    made = {
        "catalogue": Catalogue(chosen, {}).hash,
        "client": client_of(player),
        "rules": rules_for(profile),
    }
    return _verdict(profile, *played).model_copy(update=made)


def play_gateway(
    profile: Profile,
    scenarios: Iterable[Scenario],
    *,
    say: Callable[[str], None] = lambda _: None,
    advance: Callable[[str], None] = lambda _: None,
    at_once: int = AT_ONCE,
    run: Run = running,
    player: Player | None = None,
) -> Played:
    """Install, start and play; see `judge_gateway`."""
    reasons: Counter[str] = Counter()
    owing = []
    for scenario in scenarios:
        reason = why_not(scenario, profile, player)
        if reason is None:
            owing.append(scenario)
        else:
            reasons[reason] += 1
            advance(scenario.id)
    chosen = [prepared(scenario) for scenario in owing]
    home = install(profile, say)
    key = "sk-parity-client-0123456789abcdef"
    with serve_in_thread(chosen, target=profile.name) as provider, refused_url() as refused:
        document = config_document(
            chosen, profile.name, master_key=key, provider_url=provider.url, refused_url=refused
        )
        values = given(provider.url, key, document)
        target = GatewayTarget(profile, "", provider.url, refused, key)
        values["scenarios"] = [target.values(scenario) for scenario in chosen]
        say(f"starting {profile.title}, {len(chosen)} scenarios")
        with run(profile, home, values) as url:
            target = GatewayTarget(profile, url, provider.url, refused, key, player)
            seen = asyncio.run(_play(target, chosen, advance, at_once))
        words = {provider.url: "<provider>", url: "<gateway>", refused: "<refused>"}
    return Played(owing, seen, reasons, words)


def given(provider: str, key: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return what the templates of a profile know before its gateway is started; `document` configures LiteLLM."""
    return {
        "provider": provider,
        "key": key,
        "litellm_config": json.dumps(document),
        "litellm_config_without_retries": json.dumps(without_retries(document)),
        "scenarios": [],
    }


def without_retries(document: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration for LiteLLM alone, in which every failure is told at once."""
    never = {"num_retries": 0, "max_retries": 0}
    return {
        **document,
        "model_list": [
            {**entry, "litellm_params": {**entry["litellm_params"], **never}}
            for entry in document["model_list"]
        ],
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "litellm_settings": {
            "num_retries": 0,
            "disable_hf_tokenizer_download": True,
            # The stub answers a message for an OpenAI model as a chat completion, not as a response.
            "use_chat_completions_url_for_anthropic_messages": True,
        },
    }


async def _play(
    target: GatewayTarget, chosen: Sequence[Scenario], advance: Callable[[str], None], at_once: int
) -> list[Observation]:
    places = asyncio.Semaphore(at_once)

    async def one(scenario: Scenario) -> Observation:
        async with places, asyncio.timeout(CELL_PATIENCE):
            seen = await target.observe(scenario)
        advance(scenario.id)
        return seen

    return await asyncio.gather(*map(one, chosen))


def _verdict(
    profile: Profile,
    chosen: Sequence[Scenario],
    seen: Sequence[Observation],
    reasons: Counter[str],
    words: dict[str, str],
) -> GatewayVerdict:
    levels = clauses()
    found: dict[str, dict[str, list[Violation]]] = {}
    looked_at: dict[str, tuple[str, ...]] = {}
    applicable = flawless = 0
    for scenario, observation in zip(chosen, seen, strict=True):
        owed = duties(scenario, observation, own_key=profile.key == "own")
        if not owed:
            reasons[SAYS_NOTHING] += 1
            continue
        applicable += 1
        looked_at[scenario.id] = tuple(sorted(owed))
        flawless += not any(owed.values())
        for clause, broken in owed.items():
            found.setdefault(clause, {})[scenario.id] = [_shown(violation, words) for violation in broken]
    return GatewayVerdict(
        name=profile.name,
        title=profile.title,
        about=profile.about,
        note=profile.note,
        version=profile.shown_version,
        applicable=applicable,
        flawless=flawless,
        not_applicable=dict(sorted(reasons.items())),
        looked_at=dict(sorted(looked_at.items())),
        clauses={
            name: ClauseVerdict(
                level=levels[name].level,
                checked=len(found[name]),
                broken={id_: broken for id_, broken in sorted(found[name].items()) if broken},
            )
            for name in levels
            if name in found
        },
    )


def _shown(violation: Violation, words: dict[str, str]) -> Violation:
    """Return a violation without addresses, secrets, made-up ids and more text than anyone reads."""
    values = {name: _text(getattr(violation, name), words) for name in ("expected", "actual")}
    return violation.model_copy(update=values)


def _text(value: Any, words: dict[str, str]) -> Any:
    if value is ABSENT:
        return ABSENT.value
    masked = mask_json(redact_json(value))
    text = (
        masked
        if isinstance(masked, str)
        else json.dumps(masked, ensure_ascii=False, sort_keys=True, default=str)
    )
    for word, shown in words.items():
        text = text.replace(word, shown).replace(word.removeprefix("http://"), shown)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"
