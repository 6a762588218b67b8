"""Which stub answers which request."""

from __future__ import annotations

import pytest

from parity.kit import Completion, MockMistake, When
from parity.kit.mistakes import Notebook
from parity.kit.stubs import Asked, Stubs, client_headers, endpoint, seen_headers

CHAT = "/v1/chat/completions"


@pytest.fixture
def stubs() -> Stubs:
    return Stubs(Notebook(), "mock")


def asked(says: str = "hi", model: str = "m", path: str = CHAT, **headers: str) -> Asked:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Asked("POST", path, {"model": model, "messages": [{"role": "user", "content": says}]}, named)


def add(stubs: Stubs, text: str, when: When | None = None) -> None:
    stubs.add(f"answers({text!r})", Completion(text), when, ("chat/completions",))


def found(stubs: Stubs, request: Asked) -> str | None:
    stub = stubs.find(request)
    assert stub is None or isinstance(stub.answer, Completion)
    return None if stub is None else stub.answer.content


def test_in_order_then_the_last(stubs: Stubs) -> None:
    """Equally fitting stubs answer once each, in order; the last one goes on."""
    add(stubs, "one")
    add(stubs, "two")
    assert [found(stubs, asked()) for _ in range(3)] == ["one", "two", "two"]
    assert stubs.notebook.verdict() == []


def test_the_more_specific_first(stubs: Stubs) -> None:
    """A stub that wants more goes before one that wants less, whatever their order, and stays."""
    add(stubs, "any")
    add(stubs, "weather", When(says="weather"))
    add(stubs, "her weather", When(says="weather", headers={"X-Memory-User-Id": "ann"}))
    rain = asked("the weather?")
    assert [found(stubs, rain), found(stubs, rain), found(stubs, asked())] == ["weather", "weather", "any"]
    assert found(stubs, asked("the weather?", x_memory_user_id="ann")) == "her weather"


def test_other_endpoints_are_not_concerned(stubs: Stubs) -> None:
    """A stub for an endpoint leaves the others to the kit."""
    add(stubs, "one")
    assert found(stubs, asked(path="/v1/messages")) is None
    assert found(stubs, asked(path="/chat/completions")) == "one"


def test_put_replaces(stubs: Stubs) -> None:
    """What is put holds from now on; what it replaces without having been used is named at the end."""
    add(stubs, "one")
    stubs.put("put(two)", Completion("two"), None)
    stubs.put("put(three)", Completion("three"), ("messages",))
    assert [found(stubs, asked()), found(stubs, asked(path="/v1/messages"))] == ["two", "three"]
    stubs.put("put(four)", Completion("four"), ("chat/completions",))
    assert found(stubs, asked()) == "four"
    assert [sentence.partition(" was")[0] for sentence in stubs.notebook.verdict()] == ["mock.answers('one')"]


@pytest.mark.parametrize(
    ("when", "part"),
    [
        (When(model="n"), "model: the stub wants 'n', the request has 'm'"),
        (When(says="bye"), "says: the stub wants 'bye', the request has 'hi'"),
        (When(path=CHAT, method="GET"), "method: the stub wants 'GET', the request has 'POST'"),
        (When(user_agent="Claude"), "user_agent: the stub wants 'Claude', the request has ''"),
        (When(headers={"x-a": "b"}), "header x-a: the stub wants 'b', the request has None"),
        (When(body={"n": 2}), "body n: the stub wants 2, the request has nothing"),
        (When(body={"model": "n"}), "body model: the stub wants 'n', the request has 'm'"),
    ],
)
def test_what_differs(stubs: Stubs, when: When, part: str) -> None:
    """A request that nothing fits names the nearest stub and what differs."""
    add(stubs, "far", When(model="x", says="y", user_agent="z", headers={"a": "b"}, body={"c": 1}))
    add(stubs, "near", when)
    with pytest.raises(MockMistake, match=r"The nearest is mock\.answers") as raised:
        stubs.find(asked())
    assert "'near'" in str(raised.value)
    assert f"it differs in {part}." in str(raised.value)


def test_says_reads_parts() -> None:
    """The words of a message that is a list of parts are found, too."""
    parts = [
        {"type": "text", "text": "How is"},
        {"type": "image_url"},
        {"type": "text", "text": "the weather?"},
    ]
    request = Asked("POST", CHAT, {"messages": [{"role": "user", "content": parts}]})
    assert "How is" in request.says
    assert "the weather?" in request.says


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/openai/v1/chat/completions"])
def test_endpoint(path: str) -> None:
    """An endpoint is the same with another beginning of its path."""
    assert endpoint(path) == "chat/completions"


def test_headers_of_the_client() -> None:
    """What the client said counts, not what the proxy's own HTTP client says of itself; what was added counts too."""
    token = client_headers.set({"user-agent": "Claude Code", "authorization": "Bearer mine"})
    try:
        seen = seen_headers(
            {"User-Agent": "python-httpx", "x-sm-user-id": "ann", "authorization": "Bearer other"}
        )
    finally:
        client_headers.reset(token)
    assert seen == {"user-agent": "Claude Code", "authorization": "Bearer mine", "x-sm-user-id": "ann"}
    assert seen_headers({"User-Agent": "curl"}) == {"user-agent": "curl"}
