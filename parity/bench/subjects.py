"""Holds what is measured, and starts it: profiles of gateways, the bench's own among them, and any URL."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from parity.bench.workloads import SEED, Workload, find
from parity.gateways import profile as profiles
from parity.gateways.judging import given
from parity.gateways.process import install, installed, started
from parity.gateways.profile import Profile, filled

OWN = Path(__file__).with_name("profiles")
DIRECT = "direct"
OURS = ("binary", "binary-free", "sdk", "sdk-workers")
"""The subjects that are this project's own, which are those that have memories."""
DEFAULT = (
    DIRECT,
    "echo",
    "nginx",
    "portkey",
    "bare-httpx",
    "binary-free",
    "bare-litellm",
    "sdk",
    "sdk-workers",
    "litellm",
    "binary",
)
KEY = "sk-bench-client-0123456789abcdef"
PROVIDER_KEY = "of-the-provider"


@dataclass(frozen=True)
class Subject:
    """Holds one subject. Without a profile it runs already, at `url`, or is the upstream itself."""

    name: str
    profile: Profile | None = None
    url: str = ""

    @property
    def title(self) -> str:
        if self.profile is not None:
            return self.profile.title
        return "the upstream itself" if self.name == DIRECT else self.url

    @property
    def version(self) -> str:
        if self.name == "nginx":
            return first_version(["nginx", "-v"])
        return self.profile.shown_version if self.profile is not None else "–"

    def why_not(self, workload: Workload) -> str:
        """Return why a workload doesn't apply; empty where it does."""
        if workload.memory is not None and self.name not in OURS:
            return "it has no memories"
        if self.profile is not None and workload.path not in self.profile.routes:
            return f"it doesn't claim {workload.path}"
        if self.name == "echo" and (workload.chunks or workload.status != 200 or "agent" in workload.name):
            return "it answers everything alike"
        return ""

    def must(self, workload: Workload) -> str:
        """Return the text that has to stand in every answer."""
        return workload.must


@dataclass(frozen=True)
class Running:
    """Holds a subject that runs."""

    subject: Subject
    url: str
    upstream: str
    pid: int | None = None
    seconds: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, workload: Workload) -> bytes:
        """Return the bytes of a request of a workload, head and body."""
        profile = self.subject.profile
        values = {
            "scenario": workload.name,
            "safe": workload.name,
            "wire": workload.wire,
            "model": workload.model,
            "path": workload.path,
            "base": f"{self.upstream}/{workload.name}",
            "provider": self.upstream,
        }
        model = filled(profile.model, values) if profile is not None else workload.name
        body = workload.request(model)
        place = urlsplit(self.url)
        headers = {
            "host": place.netloc,
            "authorization": f"Bearer {KEY}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **workload.headers,
            **({name: filled(text, values) for name, text in profile.headers.items()} if profile else {}),
        }
        lines = [f"POST {place.path.rstrip('/')}{workload.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body


def named(names: Sequence[str], urls: Mapping[str, str]) -> list[Subject]:
    """Return the subjects of names, profiles' files among them, and of URLs. Raises `ProfileError`."""
    found = [_of_name(name) for name in names]
    return found + [Subject(name, url=url) for name, url in urls.items()]


def _of_name(name: str) -> Subject:
    if name == DIRECT:
        return Subject(name)
    if (own := OWN / f"{name}.yaml").is_file():
        return Subject(name, Profile.load(own))
    if Path(name).suffix not in (".yaml", ".yml") and name not in profiles.names():
        known = ", ".join(dict.fromkeys([*DEFAULT, *profiles.names()]))
        raise profiles.ProfileError(
            f"no subject {name!r}; there are {known}, a profile's file (.yaml), or --subject NAME=URL"
        )
    profile = profiles.find(name)
    return Subject(profile.name, profile)


def missing(subject: Subject) -> str:
    """Return what has to be installed before a subject can be started; empty where it is there."""
    profile = subject.profile
    if profile is None:
        return ""
    if installed(profile) is None:
        return "it isn't installed; --install does that"
    program = profile.start[0]
    if "{{" not in program and shutil.which(program) is None:
        return f"{program} isn't installed"
    if profile.package and profile.shown_version == "not installed":
        return f"the package {profile.package} isn't installed"
    return ""


@contextlib.contextmanager
def start(subject: Subject, workloads: Sequence[Workload], upstream: str) -> Iterator[Running]:
    """Run a subject while the context lasts. Raises `GatewayError` where it doesn't start."""
    if subject.profile is None:
        yield Running(subject, subject.url or upstream, upstream)
        return
    document = config(workloads, upstream)
    if subject.name not in OURS:
        for entry in document["model_list"]:
            entry["model_info"].pop("context_retrieval", None)
    values = given(upstream, KEY, document)
    home = install(subject.profile, lambda _: None)
    with started(subject.profile, home, values) as gateway:
        yield Running(subject, gateway.url, upstream, gateway.pid, gateway.seconds)


def config(workloads: Sequence[Workload], upstream: str) -> dict[str, Any]:
    """Build LiteLLM's configuration: a model for each workload, at an address of its own."""
    served = {workload.name: workload for workload in workloads}
    if "memory-embedded" in served:
        served[SEED] = find(SEED)
    return {
        "model_list": [_deployment(workload, upstream) for workload in served.values()],
        "general_settings": {"master_key": KEY},
    }


def _deployment(workload: Workload, upstream: str) -> dict[str, Any]:
    base = f"{upstream}/{workload.name}"
    info: dict[str, Any] = {}
    if workload.memory is not None:
        info["context_retrieval"] = dict(workload.memory)
        if workload.memory["store"] == "supermemory":
            info["context_retrieval"]["base_url"] = f"{base}/memory"
    return {
        "model_name": workload.name,
        "litellm_params": {
            "model": f"{workload.wire}/{workload.model}",
            "api_base": base if workload.wire == "anthropic" else f"{base}/v1",
            "api_key": PROVIDER_KEY,
        },
        "model_info": info,
    }


def first_version(command: list[str]) -> str:
    """Return the version that a program says; a dash where it says none."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except OSError:
        return "–"
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return found[0] if found else "–"
