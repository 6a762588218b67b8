"""The `parity` command, as a user meets it: exit codes, last lines, files."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue, fingerprint
from parity.cli import PLACES, main
from parity.commands.show import SCHEMAS
from parity.judging import ledger
from parity.observation import file as observation_file
from parity.observation.file import ObservationFile
from parity.provider.control import base_url
from parity.provider.server import refused_url, serve_in_thread
from parity.recording import file as recordings
from parity.recording.file import Recording
from proxies.support import yamlfile
from tests.root import ROOT

pytestmark = pytest.mark.once

MODELS = str(loading.BUILT_IN / "models")  # asks no backend, so it needs no time either
WITH_LITELLM = importlib.util.find_spec("litellm") is not None
needs_litellm = pytest.mark.skipif(not WITH_LITELLM, reason="the sdk arm needs litellm")


def called(*arguments: str | Path) -> Result:
    """The command in this process, which has imported litellm once and for all."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@dataclass
class Shell:
    """The command in a process of its own, in a folder of its own."""

    folder: Path

    def __call__(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "parity.cli", *map(str, arguments)],
            cwd=self.folder,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PARITY_"))},
                "PYTHONPATH": str(ROOT),
                "PARITY_CACHE": str(self.folder / "cache"),
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which `called` stands, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARITY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for workers
    return tmp_path


def observed(out: Path, *arguments: str) -> Path:
    """A file of the binary arm's observations of `MODELS`."""
    done = called("observe", "--target", "binary", "--scenarios", MODELS, "--out", out, *arguments)
    assert done.exit_code == 0, done.output
    return out


def own_scenario(folder: Path, edit: Callable[[Recording], None] = lambda _: None) -> Path:
    """A user's copy of chat.plain under another title, recorded as the built-in one, then edited."""
    text = (loading.BUILT_IN / "chat" / "plain.yaml").read_text()
    path = folder / "own.yaml"
    path.write_text(text.replace("title: ", "title: In other words - ", 1))
    (mine,) = loading.read_file(path)
    recording = recordings.read(recordings.BUILT_IN / "chat" / "plain.json")
    edit(recording)
    made = recording.model_copy(update={"fingerprint": fingerprint(mine)})
    recordings.write(made, folder / "cache" / f"{fingerprint(mine)}-{recordings.REFERENCE}.json")
    return path


def another_word(recording: Recording) -> None:
    """What an edit by hand may do to a recording: a word that LiteLLM never said."""
    answer = recording.process[0].answer
    assert answer is not None
    assert answer.text is not None
    recording.process[0] = recording.process[0].model_copy(
        update={"answer": answer.model_copy(update={"text": answer.text.replace("Hello!", "Goodbye!")})}
    )


def another_question(recording: Recording) -> None:
    """A recording of a call that no proxy makes."""
    call = recording.process[0].call
    recording.process[0] = recording.process[0].model_copy(
        update={"call": call.model_copy(update={"body": {**call.body, "temperature": 2}})}
    )


# --- list, show, schema


def test_list_names_every_scenario() -> None:
    """A line holds id, tiers and promise; `--count` is the number of lines."""
    lines = called("list").output.splitlines()
    assert lines == [f"{s.id}\t{','.join(s.tiers)}\t{s.title}" for s in Catalogue.load()]
    assert called("list", "--count").output == f"{len(lines)}\n"


def test_list_reads_a_folder_of_ones_own() -> None:
    """`--scenarios` takes the place of the built-in catalogue."""
    lines = called("list", "--scenarios", MODELS).output.splitlines()
    assert [line.partition("\t")[0] for line in lines] == ["models.list", "models.one", "models.unknown"]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    """A folder without scenarios is a mistake, not an empty success."""
    done = called("list", "--scenarios", tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path}: holds no *.yaml file" in done.output


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_a_schema(name: str) -> None:
    """What `parity schema` prints is JSON Schema, and refuses nonsense."""
    schema = json.loads(called("schema", name).output)
    Draft202012Validator.check_schema(schema)
    assert not Draft202012Validator(schema).is_valid({"nonsense": True})


def test_scenario_files_keep_to_the_schema() -> None:
    """Every built-in file is valid by the published schema, templates too."""
    validator = Draft202012Validator(json.loads(called("schema").output))
    for path in sorted(loading.BUILT_IN.rglob("*.yaml")):
        document = yamlfile.load(path).data
        assert [error.message for error in validator.iter_errors(document)] == []


def test_the_ledger_keeps_to_its_schema() -> None:
    """The built-in ledger is valid by the published schema."""
    validator = Draft202012Validator(json.loads(called("schema", "ledger").output))
    assert [error.message for error in validator.iter_errors(yamlfile.load(ledger.BUILT_IN).data)] == []


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("chat.plan", "did you mean chat.plain"),
        ("errors.openai_status", "did you mean errors.openai_status[400]"),
        ("zzz", "`parity list` shows all"),
    ],
)
def test_show_of_an_unknown_id_suggests(asked: str, meant: str) -> None:
    """A mistyped id is exit code 2 and the nearest ones."""
    done = called("show", asked)
    assert done.exit_code == 2
    assert f"no scenario {asked!r}; {meant}" in done.output


@needs_litellm
@pytest.mark.usefixtures("here")
def test_show_puts_both_sides_next_to_each_other() -> None:
    """The scenario, what each arm makes of it, and the verdict as the last line."""
    done = called("show", "models.one")
    assert done.exit_code == 0, done.output
    assert "One model can be asked for by its name." in done.stdout
    assert "binary" in done.stdout
    assert "sdk" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("PASS mocked binary | sdk: cells 2 planned = 2 reported")


# --- run


@needs_litellm
def test_run_ends_in_a_verdict_and_a_report(here: Path) -> None:
    """The last line is the verdict, the exit code says the same, and the report's files are whole."""
    done = called("run", "--scenarios", MODELS, "--report", "out")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("PASS mocked binary | sdk: cells 6 planned = 6 reported")
    names = sorted(path.name for path in (here / "out").iterdir())
    assert names == ["binary.jsonl", "junit.xml", "report.html", "report.json", "report.md", "sdk.jsonl"]
    report = json.loads((here / "out" / "report.json").read_text())
    schema = json.loads(called("schema", "report").output)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(report)] == []
    lines = (here / "out" / "sdk.jsonl").read_text().splitlines()
    line_schema = Draft202012Validator(json.loads(called("schema", "observation").output))
    assert len(lines) == 4
    assert all(line_schema.is_valid(json.loads(line)) for line in lines)


@pytest.mark.timeout(120)
def test_workers_leave_the_report_as_it_is(here: Path) -> None:
    """One process or two: report.json is the same to the byte."""
    reports = []
    files = [loading.BUILT_IN / name for name in ("streaming/plain.yaml", "errors/wrong_method.yaml")]
    paths = [argument for file in files for argument in ("--scenarios", file)]
    for workers in ("0", "2"):
        targets = "binary,binary@1.110.2"  # whose workers need not import litellm
        done = called("run", *paths, "--targets", targets, "-n", workers, "--report", workers)
        assert done.exit_code == 0, done.output
        reports.append((here / workers / "report.json").read_bytes())
    assert reports[0] == reports[1]
    assert b"streaming.plain" in reports[0]


@needs_litellm
@pytest.mark.parametrize(
    ("edit", "told"), [(another_word, "Goodbye!"), (another_question, "temperature")], ids=["answer", "call"]
)
def test_an_edited_recording_fails_the_run(here: Path, edit: Callable[[Recording], None], told: str) -> None:
    """A double that says something else than LiteLLM did makes the arms differ, and the run fail."""
    done = called("run", "--scenarios", own_scenario(here, edit))
    assert done.exit_code == 1, done.output
    assert done.stdout.splitlines()[-1].startswith("FAIL mocked binary | sdk: cells 2 planned = 2 reported")
    assert told in done.stdout
    assert "chat.plain" in done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_file_from_anywhere_is_played(shell: Shell, workers: str) -> None:
    """A scenario file may lie outside of the folder in which one stands."""
    file = Path(MODELS) / "one.yaml"
    done = shell("observe", "--target", "binary", "--scenarios", file, "--out", "out.jsonl", "-n", workers)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote out.jsonl: observations of binary\n1 observed: 1 × 2xx\n"


@pytest.mark.parametrize("name", ["build", ".mine"])
def test_a_folder_of_any_name_is_played(here: Path, name: str) -> None:
    """Also of those in which pytest looks for no tests."""
    shutil.copytree(MODELS, here / "scenarios" / name)
    out = here / "out.jsonl"
    done = called("observe", "--target", "binary", "--scenarios", "scenarios", "--out", out)
    assert done.exit_code == 0, done.stderr
    assert len(ObservationFile.read(out).observations) == 3


@needs_litellm
def test_a_scenario_of_ones_own_runs(here: Path) -> None:
    """A user's file with a recording in the cache is played like any other."""
    done = called("run", "--scenarios", own_scenario(here))
    assert done.exit_code == 0, done.output
    assert (here / "parity-report" / "report.md").is_file()


@pytest.mark.parametrize("command", ["run", "list"])
def test_a_wrong_scenario_names_file_and_line(shell: Shell, command: str) -> None:
    """A mistake in a scenario is exit code 2 with file, line, key and what would be right; no report."""
    (shell.folder / "bad.yaml").write_text(
        "id: my.own\ntitle: A promise.\nclient:\n  - method: GETT\nexpect:\n  responses: [{status: 200}]\n"
    )
    done = shell(command, "--scenarios", "bad.yaml")
    assert done.returncode == 2
    assert "bad.yaml:4: client[0].method: must be 'GET'" in done.stderr
    assert "not 'GETT'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (shell.folder / "parity-report").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-k", "nothing_is_called_so"), "no scenario is selected"),
        (("-k", "models and"), "-k 'models and': expected"),
        (("-n", "many"), "'many' is neither a number nor auto"),
        (("--tier", "paper"), "'paper' is not one of"),
        (("--scenarios", "not-there"), "'not-there' does not exist"),
        (("--ledger", "bad-ledger.yaml"), "bad-ledger.yaml:1: a ledger is a list"),
    ],
)
def test_a_wrong_option_is_a_set_up_error(here: Path, arguments: tuple[str, ...], told: str) -> None:
    """What can't be played is exit code 2 and one sentence, and leaves nothing behind."""
    (here / "bad-ledger.yaml").write_text("entries: 1\n")
    done = called("run", "--scenarios", MODELS, *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (here / "parity-report").exists()


@pytest.mark.skipif(WITH_LITELLM, reason="only where litellm is missing")
def test_without_litellm_a_new_scenario_cannot_be_recorded(shell: Shell) -> None:
    """A scenario that nobody recorded is exit code 2 there, naming `parity record`."""
    path = own_scenario(shell.folder)
    for recording in (shell.folder / "cache").iterdir():
        recording.unlink()
    done = shell("observe", "--target", "binary", "--scenarios", path, "--out", "out.jsonl")
    assert done.returncode == 2
    assert "`parity record`" in done.stderr
    assert "chat.plain" in done.stderr


@pytest.mark.parametrize("there", ["file", "file/sub"])
def test_a_report_that_cannot_be_written_is_told_before_the_run(here: Path, there: str) -> None:
    """It would have been for nothing."""
    (here / "file").write_text("")
    done = called("run", "--scenarios", MODELS, "--report", there)
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr
    assert "file" in done.stderr
    assert "cells" not in done.stdout


@needs_litellm
def test_recordings_of_another_litellm_are_told(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is replayed isn't of the installed one, and that is said; the versions of both stand in the report."""
    monkeypatch.setattr(
        observation_file, "version", lambda name: "9.9.9" if name == "litellm" else metadata.version(name)
    )
    done = called("run", "--scenarios", MODELS, "--report", here / "out")
    assert done.exit_code == 0, done.output
    assert "there are no recordings of LiteLLM 9.9.9, which is installed" in done.output
    versions = json.loads((here / "out" / "report.json").read_text())["versions"]["sdk"]
    assert versions["litellm"] == "9.9.9"
    assert versions["recordings"] not in ("", "9.9.9")


# --- observe, diff


def test_observations_of_the_same_thing_do_not_differ(here: Path) -> None:
    """Two files of one arm, one of them under another name, compare as identical."""
    left, right = observed(here / "left.jsonl", "--name", "before"), observed(here / "right.jsonl")
    done = called("diff", left, right)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith(
        "PASS mocked before | binary: cells 6 planned = 6 reported"
    )


def test_an_edited_observation_differs(here: Path) -> None:
    """A value that is not the same is exit code 1, with scenario, path and both values."""
    left, right = observed(here / "left.jsonl", "--name", "before"), observed(here / "right.jsonl")
    right.write_text(right.read_text().replace('"owned_by":"openai"', '"owned_by":"somebody"', 1))
    done = called("diff", left, right, "--report", here / "out")
    assert done.exit_code == 1
    assert "models.list" in done.output
    assert "owned_by" in done.output
    assert "somebody" in done.output
    assert done.output.splitlines()[-1].startswith("FAIL mocked before | binary")
    assert (here / "out" / "report.json").is_file()


def test_files_of_other_scenarios_are_not_compared(here: Path) -> None:
    """Another catalogue is exit code 2, unless the caller says that it may be."""
    left = observed(here / "left.jsonl", "--name", "before")
    right = observed(here / "right.jsonl", "-k", "models.one")
    done = called("diff", left, right)
    assert done.exit_code == 2
    assert "were made from different scenarios; observe both with the same" in done.output
    forgiven = called("diff", left, right, "--if-comparable")
    assert forgiven.exit_code == 0
    assert "nothing to compare with" in forgiven.output


def test_a_missing_left_side_may_be_forgiven(here: Path) -> None:
    """`--if-comparable` is for a first run: nothing to compare with is no failure, and is said."""
    right, missing = observed(here / "right.jsonl"), here / "gone.jsonl"
    assert called("diff", missing, right).exit_code == 2
    forgiven = called("diff", missing, right, "--if-comparable")
    assert forgiven.exit_code == 0
    assert "gone.jsonl is not there" in forgiven.output


def test_one_target_twice_is_no_comparison(here: Path) -> None:
    """Two sides of one name could not be told apart in a report."""
    left, right = observed(here / "left.jsonl"), observed(here / "right.jsonl")
    done = called("diff", left, right)
    assert done.exit_code == 2
    assert "`parity observe --name`" in done.output


def test_a_file_of_something_else_is_told(here: Path) -> None:
    """What is no observation file is exit code 2, with file and line."""
    left, right = observed(here / "left.jsonl"), here / "right.jsonl"
    right.write_text('{"a": 1}\n')
    done = called("diff", left, right)
    assert done.exit_code == 2
    assert "right.jsonl:1: not a header" in done.output


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The base URL of an endpoint that answers `chat.plain`, as clients have it."""
    monkeypatch.setenv("THEIR_KEY", "sk-a-key-of-theirs-0123456789")
    scenario = Catalogue.load([loading.BUILT_IN / "chat" / "plain.yaml"])["chat.plain"]
    with serve_in_thread([scenario]) as provider:
        yield f"{base_url(provider.url, 'theirs', scenario.id)}/v1"


ASKED = ("--model", "gpt-theirs", "--api-key-env", "THEIR_KEY", "-k", "chat.plain")


def test_any_url_can_be_observed(tmp_path: Path, endpoint: str) -> None:
    """An endpoint is asked for the model that was named, with the key of the environment, which stays out."""
    out = tmp_path / "out.jsonl"
    done = called("observe", "--target", endpoint, "--out", out, "--name", "theirs", *ASKED)
    assert done.exit_code == 0, done.output
    written = ObservationFile.read(out)
    assert (written.header.target, written.header.endpoint) == ("theirs", True)
    assert set(written.header.versions) == {"proxy-parity", "python"}
    (seen,) = written.observations
    response: Any = seen.exchanges[0].response
    assert response.json_body["model"] == "gpt-4o-mini-2024-07-18"
    assert "sk-a-key-of-theirs" not in out.read_text()


def test_two_urls_are_compared_and_nothing_is_expected_of_them(tmp_path: Path, endpoint: str) -> None:
    """Equal answers are exit code 0, whatever a scenario's own provider would have said; so is an equal shape."""
    files = [tmp_path / "before.jsonl", tmp_path / "after.jsonl"]
    for file in files:
        called("observe", "--target", endpoint, "--out", file, "--name", file.stem, *ASKED)
    done = called("diff", *files)
    assert done.exit_code == 0, done.output
    assert "identical 1 · " in done.output
    assert "not judged 2" in done.output
    files[1].write_text(files[1].read_text().replace("Hello", "Good evening"))
    assert called("diff", *files).exit_code == 1
    done = called("diff", *files, "--shape", "--report", tmp_path / "report")
    assert (done.exit_code, "PASS live, shapes only before | after: " in done.output) == (0, True)
    assert "not what they say" in (tmp_path / "report" / "report.html").read_text()


def test_nobody_at_a_url_is_told(tmp_path: Path) -> None:
    """An endpoint that can't be reached is exit code 2 and no file; a password in its URL isn't shown."""
    with refused_url() as url:
        there = url.replace("http://", "http://me:hunter2hunter2@")
        done = called("observe", "--target", there, "--out", tmp_path / "out.jsonl", *ASKED)
    assert done.exit_code == 2
    assert f"{url.removeprefix('http://')} can't be reached: " in done.output
    assert "hunter2" not in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--target", "http://127.0.0.1:9"), "a URL needs --model"),
        (("--target", "both"), "--target is binary, sdk or a URL, not 'both'"),
        (("--target", "sdk", "--model", "m"), "--model is only for a URL"),
        (("--target", "http://127.0.0.1:9", "--model", "m", "-n", "2"), "-n is without effect on a URL"),
    ],
)
def test_a_wrong_target_is_told(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    """A target that can't be observed is exit code 2, and no file."""
    done = called("observe", *arguments, "--out", tmp_path / "out.jsonl")
    assert done.exit_code == 2
    assert told in done.output
    assert list(tmp_path.iterdir()) == []


# --- recordings against the real thing


@pytest.mark.live
@pytest.mark.timeout(180)
def test_an_edited_recording_is_a_drift(shell: Shell) -> None:
    """`check-mocks` finds the word that LiteLLM never said, and has nothing against the other recordings."""
    path = own_scenario(shell.folder, another_word)
    models = loading.BUILT_IN / "errors" / "context_length.yaml"
    done = shell("check-mocks", "--scenarios", path, "--scenarios", models)
    assert done.returncode == 1, done.stderr
    *drifts, verdict = done.stdout.splitlines()
    assert verdict == "DRIFT check-mocks: LiteLLM 1.106.2, 2 recordings, 1 drifts"
    (drift,) = drifts
    assert drift.startswith("chat.plain")
    assert "Goodbye!" in drift
    assert "Hello!" in drift


def test_checking_nothing_is_no_success() -> None:
    """An expression that selects no recording is exit code 2."""
    done = called("check-mocks", "-k", "zzz")
    assert done.exit_code == 2
    assert "no scenario is selected" in done.output


def test_help_fits_and_names_every_command() -> None:
    """`parity --help` shows each command with its purpose."""
    shown = called("--help")
    assert shown.exit_code == 0
    for name in PLACES:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.name == name
        assert f"  {name} " in shown.output
        assert command.get_short_help_str(20).removesuffix("...") in shown.output


# --- more than two targets


def test_any_number_of_files_is_compared(here: Path) -> None:
    """The first is what the others are compared with; by majority it is the one that differs."""
    first = observed(here / "one.jsonl", "--name", "one")
    text = first.read_text()
    files = [first]
    for name in ("two", "three"):
        files.append(here / f"{name}.jsonl")
        files[-1].write_text(text.replace('"target":"one"', f'"target":"{name}"'))
    first.write_text(text.replace('"owned_by":"openai"', '"owned_by":"somebody"', 1))
    done = called("diff", *files)
    assert done.exit_code == 1
    assert "two, three  " in done.output
    assert "\nthree  ok 3/3  identical 2  explained 0  unexplained 1\n" in done.output
    voted = called("diff", *files, "--majority", "--report", here / "out")
    assert "\nthree  ok 3/3  identical 3  explained 0  unexplained 0\n" in voted.output
    assert voted.output.splitlines()[-1].startswith("FAIL mocked, by majority one | two | three: cells 9")
    assert " ≠ |" in (here / "out" / "report.md").read_text()
    assert called("diff", first).exit_code == 2


def test_targets_of_a_run_are_named(here: Path) -> None:
    """A proxy plays with the recordings of any LiteLLM that has some, and each has its file."""
    names = "binary,binary@1.110.2,binary@1.106.2"
    done = called("run", "--targets", names, "--scenarios", MODELS, "--report", here / "out")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith(
        "PASS mocked binary | binary@1.110.2 | binary@1.106.2: cells 9"
    )
    heads = [ObservationFile.read(here / "out" / f"{name}.jsonl").header for name in names.split(",")]
    assert {head.architecture for head in heads} == {"binary"}
    assert [head.litellm for head in heads[1:]] == ["1.110.2", "1.106.2"]


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        ("binary,", "has an empty name"),
        ("sdk,sdk", "sdk stands there twice"),
        ("passthrough,sdk", "passthrough is a gateway, which only plays with --tier live"),
        ("binary@", "no gateway 'binary@'; there are"),
        ("nobody", "no gateway 'nobody'"),
    ],
)
def test_wrong_targets_are_told(targets: str, told: str) -> None:
    """Each with what would be right."""
    done = called("run", "--targets", targets, "--scenarios", MODELS)
    assert done.exit_code == 2
    assert told in done.output
