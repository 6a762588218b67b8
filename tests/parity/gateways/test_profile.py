from __future__ import annotations

from pathlib import Path

import pytest

from parity.bench.subjects import OWN
from parity.gateways.judging import given
from parity.gateways.profile import BUILT_IN, Profile, ProfileError, filled, find, names
from parity.gateways.target import safe


@pytest.mark.parametrize("name", names())
def test_a_built_in_profile_is_whole(name: str) -> None:
    """It can be read, is named as its file, has a version that is pinned, and claims routes of the published APIs."""
    profile = find(name)
    assert profile.name == name
    assert profile.shown_version not in ("", "–")
    for package in (*profile.install.npm, *profile.install.pip, *profile.install.apt):
        assert profile.shown_version in package or "@" in package.lstrip("@")
    assert all(route.startswith(("/v1/", "/openai/v1/")) for route in profile.routes)
    assert profile.about.endswith(".")


@pytest.mark.parametrize(
    "path",
    sorted([*BUILT_IN.glob("*.yaml"), *OWN.glob("*.yaml")]),
    ids=lambda path: f"{path.parts[-3]}-{path.stem}",
)
def test_every_template_of_a_profile_can_be_filled(path: Path) -> None:
    """What is written before the start and what starts it know each name that they use."""
    profile = Profile.load(path)
    place = {"port": 7, "home": "/home", "folder": "/folder", "python": "python"}
    known = {**given("http://provider", "sk-key", {"model_list": []}), **place}
    for template in (*profile.files.values(), *profile.start, *profile.environment.values()):
        assert "{{" not in filled(template, known)


def test_a_profile_of_ones_own_is_a_file(tmp_path: Path) -> None:
    """Its path is given instead of a name."""
    mine = tmp_path / "mine.yaml"
    mine.write_text((BUILT_IN / "passthrough.yaml").read_text().replace("name: passthrough", "name: mine"))
    assert find(str(mine)).name == "mine"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "mine.yaml"),
        ("name: A B\nstart: [x]", "mine.yaml:1"),
        ("name: a\ntitle: b\nabout: c\nstart: []\nroutes: [/v1/models]\nkey: passed", "start"),
        ("name: a\ntitle: b\nabout: c\nstart: [x]\nroutes: [/v1/models]\nkey: passed\nstrat: 1", "strat"),
    ],
)
def test_a_mistake_in_a_profile_is_told(tmp_path: Path, text: str, told: str) -> None:
    """With the file and the key."""
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    with pytest.raises(ProfileError) as raised:
        find(str(mine))
    assert told in str(raised.value)


def test_an_unknown_name_is_told() -> None:
    """With those that there are, and the way to one's own."""
    with pytest.raises(
        ProfileError, match=r"no gateway 'portky'; there are .*portkey.*or give a profile's file"
    ):
        find("portky")


def test_a_template_that_cant_be_filled_is_told() -> None:
    """It knows what it is given, and nothing else of the program."""
    assert filled("{{ port }}", {"port": 7}) == "7"
    with pytest.raises(ProfileError, match="'prot' is undefined"):
        filled("{{ prot }}", {"port": 7})


def test_a_profile_without_a_version_says_so() -> None:
    """Where neither it nor a package has one."""
    rest = {"name": "a", "title": "b", "about": "c", "start": ["x"], "routes": ["/v1/models"], "key": "own"}
    assert Profile.model_validate(rest).shown_version == "–"


def test_a_safe_name_is_letters_digits_and_dashes() -> None:
    """As any gateway takes it for a model's name."""
    assert safe("errors.openai_status[429]") == "errors-openai-status-429"
