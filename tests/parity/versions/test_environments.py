"""Environments for other versions of LiteLLM: what is put into them, and what is said when one can't be made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from parity.versions import environments
from parity.versions.environments import NotInstallable, environment, releases
from tests.parity.versions.copies import copy_of_litellm


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARITY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_folder_is_a_version(tmp_path: Path) -> None:
    """A copy of LiteLLM is imported in its environment before any other, beside all that is installed here."""
    made = environment(str(copy_of_litellm(tmp_path / "patched")))
    assert (made.litellm, made.kept) == ("1.2.3", False)
    code = "import litellm, click, parity; print(litellm.planted)"
    done = subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert environment(str(tmp_path / "patched" / "litellm")).litellm == "1.2.3"


def test_a_folder_without_litellm_says_so(tmp_path: Path) -> None:
    """What holds no package of that name is no version."""
    with pytest.raises(NotInstallable, match="holds no copy of the package litellm"):
        environment(str(tmp_path))


class Installer:
    """Notes what is run; installing puts a package there, or fails."""

    def __init__(self, tmp_path: Path) -> None:
        self.asked: list[Sequence[str]] = []
        self._needs = "not-installed-here>=2"
        self._tmp = tmp_path

    def __call__(self, command: Sequence[str], what: str) -> str:
        self.asked.append(command)
        if command[-1] == "litellm==0.0.1":
            raise NotInstallable("no such release")
        if "venv" in command:
            (Path(command[-1]) / "lib/python3/site-packages").mkdir(parents=True)
        if "-c" in command:
            base = ["not-installed-here>=2", "click>=1", 'old; python_version<"3"']
            return json.dumps(["1.2.3", [*base, 'litellm-proxy; extra == "proxy"']])
        if "index" in command:
            return "litellm (1.10.0)\nAvailable versions: 1.10.0, 1.9.1, odd one, 1.9.0, 1.8.0\n"
        return ""


@pytest.mark.parametrize("uv", ["/bin/uv", None])
def test_a_release_is_installed_without_its_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uv: str | None
) -> None:
    """LiteLLM alone, then what it asks for and isn't here; by uv or by pip; the second time nothing is installed,
    and what is played is this checkout of the project, whichever made the environment.
    """
    installer = Installer(tmp_path)
    monkeypatch.setattr(environments, "_run", installer)
    monkeypatch.setattr(environments.shutil, "which", lambda _: uv)
    made = environment("1.2.3")
    installs = [command for command in installer.asked if "install" in command]
    assert [command[-1] for command in installs] == ["litellm==1.2.3", "not-installed-here>=2"]
    assert "--no-deps" in installs[0]
    assert all((command[0] == uv) is (uv is not None) for command in installs)
    assert made.notes == ("also installed: not-installed-here>=2",)
    assert made.seconds > 0
    before = len(installer.asked)
    [behind] = made.python.parents[1].rglob("parity_behind.pth")
    here = behind.read_text()
    behind.write_text("/another/checkout/of/the/project\n")
    again = environment("1.2.3")
    assert (again.seconds, again.notes, len(installer.asked)) == (0.0, made.notes, before)
    assert behind.read_text() == here
    assert here.splitlines()[1] == str(Path(environments.__file__).parents[2])
    with pytest.raises(NotInstallable):
        environment("0.0.1")


def test_releases_are_those_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From old to new, both ends included; by default up to the newest."""
    monkeypatch.setattr(environments, "_run", Installer(tmp_path))
    assert releases("1.9.0") == ["1.9.0", "1.9.1", "1.10.0"]
    assert releases("1.8.0", "1.9.1") == ["1.8.0", "1.9.0", "1.9.1"]


def test_an_installer_that_fails_is_quoted() -> None:
    """Its own words say why a release can't be had."""
    with pytest.raises(NotInstallable, match=r"this can't be installed here: .*No module named 'nothing'"):
        environments._run([environments.sys.executable, "-c", "import nothing"], "this")


def test_without_pip_versions_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of releases is pip's: without it, say so; one elsewhere on the machine will do."""

    def none(name: str) -> str:
        raise environments.PackageNotFoundError(name)

    monkeypatch.setattr(environments, "version", none)
    monkeypatch.setattr(environments.shutil, "which", lambda _: None)
    with pytest.raises(NotInstallable, match="needs pip"):
        environments._pip()
    monkeypatch.setattr(environments.shutil, "which", lambda _: "/bin/pip")
    assert environments._pip() == ["/bin/pip"]
