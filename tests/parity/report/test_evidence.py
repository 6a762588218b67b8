from __future__ import annotations

from parity.report.evidence import HEAD, LARGEST, TAIL, abridged, collect
from tests.parity.builders import observation, scenario, stream
from tests.parity.report.verdicts import LEAKY

ID = "chatcmpl-00000001-0000-4000-8000-000000000000"


def test_sides_that_show_the_same_are_kept_once() -> None:
    """The second names the first, and keeps what was masked of its own."""
    seen = [
        observation(target="binary", json={"id": ID}),
        observation(target="sdk", json={"id": ID.replace("1-", "2-")}),
    ]
    found = collect([scenario(), scenario("chat.never")], seen)
    assert list(found) == ["chat.plain"]
    binary, sdk = found["chat.plain"].sides.values()
    assert (sdk.same_as, sdk.observation) == ("binary", None)
    assert binary.observation is not None
    assert binary.observation["exchanges"][0]["response"]["json_body"] == {"id": "chatcmpl-<id:1>"}
    assert [side.masked[0].was for side in (binary, sdk)] == [ID, ID.replace("1-", "2-")]


def test_no_secret_is_evidence() -> None:
    """Neither of an observation nor of a scenario."""
    one = scenario(json={"said": LEAKY})
    found = collect([one], [observation(text=LEAKY), observation(target="sdk", json={"x": LEAKY})])
    assert LEAKY not in found["chat.plain"].model_dump_json()


def test_a_large_body_is_head_tail_and_hash() -> None:
    """Whatever it is made of: a text, an object of many members, a stream of many frames."""
    text = "a" * LARGEST + "z"
    cut = abridged(text)
    assert cut.startswith("a" * HEAD + f"\n… {len(text)} characters, sha256 ")
    assert cut.endswith("a" * (TAIL - 1) + "z")
    assert abridged("a" * LARGEST) == "a" * LARGEST
    body = abridged({"json_body": {str(number): "x" * 100 for number in range(1000)}})["json_body"]
    assert body.startswith('{"0": "xxx')
    assert "sha256" in body
    frames = stream(*["word" * 20] * 500).model_dump(mode="json")["frames"]
    kept = abridged({"frames": frames})["frames"]
    assert (len(kept), kept[0], kept[-1]) == (121, frames[0], frames[-1])
    assert kept[100]["data"].startswith("380 of 500 left out, sha256 ")
    few = abridged({"frames": [{"data": "y" * 20_000}]})["frames"]
    assert "20000 characters" in few[0]["data"]
    assert abridged({"body": 1, "frames": []}) == {"body": 1, "frames": []}
