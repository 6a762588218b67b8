"""Holds a gateway's profile: how it is installed, configured and started, and what it claims. It is data, in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Literal

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from pydantic import Field, ValidationError

from parity.support.frozen import Frozen
from proxies.support import yamlfile

BUILT_IN = Path(__file__).with_name("profiles")
_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"sort_keys": False}


class ProfileError(Exception):
    """Reports that a profile can't be used; the message names the file and what is wrong."""


class Install(Frozen):
    """Holds what is installed, each with its version, from which registry; nothing: it is here already."""

    npm: list[str] = Field(default_factory=list, description="packages of npm, NAME@VERSION")
    pip: list[str] = Field(default_factory=list, description="packages of PyPI, NAME==VERSION")
    apt: list[str] = Field(default_factory=list, description="packages of Debian, unpacked and not set up")


class Profile(Frozen):
    """Holds one gateway. `files`, `start`, `environment`, `headers` and `model` are Jinja templates.

    They know `port`, `provider` (the stub's URL), `home` (where it is installed), `folder` (where its files are),
    `python`, `key` (the client's), `litellm_config`, `litellm_config_without_retries`, and `scenarios`; `headers` and
    `model` know `scenario`, `safe`
    (its id in letters, digits and `-`), `path`, `wire`, `model`, `provider`, and `base`, the URL of this scenario's
    provider.
    """

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    about: str = Field(description="one sentence: what kind of gateway this is")
    note: str = Field("", description="what a reader of its verdict should know")
    version: str | None = Field(None, description="as it is installed here; or")
    package: str | None = Field(
        None, description="the Python package of this environment that has the version"
    )
    install: Install = Field(default_factory=Install)
    files: dict[str, str] = Field(default_factory=dict, description="written before the start, by name")
    start: list[str] = Field(min_length=1)
    environment: dict[str, str] = Field(default_factory=dict)
    ready: str = Field("/v1/models", description="answers with a status below 500 once it can be used")
    patience: float = Field(60, gt=0, description="the seconds that a start may take")
    routes: list[str] = Field(min_length=1, description="the routes of the published APIs that it claims")
    translates: list[str] = Field(
        default_factory=list, description="the routes on which it asks a provider of another API in that API"
    )
    tells: Literal["header", "configuration"] = Field(
        "header", description="how the provider of one scenario is told from another's"
    )
    one_provider: bool = Field(False, description="all scenarios share one address of a provider")
    headers: dict[str, str] = Field(default_factory=dict, description="of every request of a client")
    model: str = "{{ scenario }}"
    key: Literal["passed", "own"] = Field(
        description="passed: the client's key is the provider's; own: it has keys"
    )
    lacks: dict[str, str] = Field(
        default_factory=dict,
        description="further scenarios that it doesn't claim, by the beginning of their ids: why",
    )

    @property
    def shown_version(self) -> str:
        if self.version or not self.package:
            return self.version or "–"
        try:
            return installed_version(self.package)
        except PackageNotFoundError:
            return "not installed"

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Read a profile. Raises `ProfileError`, which names file and line."""
        try:
            file = yamlfile.load(path)
            return cls.model_validate(file.data)
        except yamlfile.YamlError as error:
            raise ProfileError(str(error)) from None
        except ValidationError as error:
            raise ProfileError("\n".join(yamlfile.explain(error, file))) from None


def find(name: str) -> Profile:
    """Return the profile of a built-in name, or of a file. Raises `ProfileError`."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return Profile.load(path)
    if name not in names():
        raise ProfileError(
            f"no gateway {name!r}; there are {', '.join(names())}, or give a profile's file (.yaml)"
        )
    return Profile.load(BUILT_IN / f"{name}.yaml")


def names() -> list[str]:
    """Return the names of the built-in profiles."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def filled(template: str, values: Mapping[str, Any]) -> str:
    """Fill a template of a profile. Raises `ProfileError`."""
    try:
        return _ENVIRONMENT.from_string(template).render(values)
    except TemplateError as error:
        raise ProfileError(f"a template of the profile can't be filled: {error}: {template[:80]!r}") from None
