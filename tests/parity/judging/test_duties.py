from __future__ import annotations

from typing import Any

import pytest

from parity.catalogue.scenario import Scenario
from parity.judging.duties import KEY_LEAKED, duties
from parity.observation.fold import fold
from parity.observation.model import Exchange, Frame, Observation, Response, Stream, UpstreamCall

CHAT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
MESSAGE = {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}
ASKED = {"model": "$model", "messages": [{"role": "user", "content": "Hello?"}]}
SENT = UpstreamCall(route="POST /v1/chat/completions", body={**ASKED, "model": "gpt"})


def scenario(*replies: dict[str, Any], clauses: tuple[str, ...] = (), **rest: Any) -> Scenario:
    client = {"json": ASKED, **rest.pop("client", {})}
    document = {"id": "chat.one", "title": "t", "clauses": list(clauses), "provider": list(replies)}
    return Scenario.model_validate({**document, "client": [client], "expect": {"responses": [{}]}, **rest})


def seen(
    json: Any = None, status: int = 200, *, upstream: tuple[UpstreamCall, ...] = (SENT,), **rest: Any
) -> Observation:
    response = Response(
        status=status, headers=rest.pop("headers", {}), json_body=json, text=rest.pop("text", None)
    )
    exchange = Exchange(method="POST", path="/v1/chat/completions", response=response)
    return Observation(
        scenario="chat.one",
        target="g",
        tier="live",
        exchanges=[rest.pop("exchange", exchange)],
        upstream=list(upstream),
        **rest,
    )


def broken(case: Scenario, what: Observation, *, own_key: bool = False) -> set[str]:
    return {clause for clause, violations in duties(case, what, own_key=own_key).items() if violations}


def test_an_answer_that_says_the_same_is_met() -> None:
    """Whatever members of its own a gateway adds, and however it names the model."""
    case = scenario({"json": CHAT})
    assert broken(case, seen({**CHAT, "model": "mine", "extra": 1})) == set()
    assert set(duties(case, seen(CHAT), own_key=False)) == {"chat.plain", "chat.messages", "errors.retries"}


@pytest.mark.parametrize(
    ("what", "clause"),
    [
        (seen({"choices": []}), "chat.plain"),
        (seen(None, text="Hi"), "chat.plain"),
        (seen(CHAT, 500), "chat.plain"),
        (seen(CHAT, upstream=(SENT, SENT)), "errors.retries"),
        (seen(CHAT, upstream=(UpstreamCall(route="x", body={"messages": []}),)), "chat.messages"),
        (seen(exchange=Exchange(method="POST", path="/", failed="reset")), "chat.plain"),
    ],
)
def test_an_answer_that_says_something_else_is_broken(what: Observation, clause: str) -> None:
    """At the clause that is about it."""
    assert clause in broken(scenario({"json": CHAT}), what)


def test_another_api_is_compared_by_what_it_means() -> None:
    """A message of Anthropic's that comes as a chat completion says the same, with the words of that API."""
    case = scenario({"json": MESSAGE}, deployment={"provider": "anthropic"})
    assert broken(case, seen(CHAT)) == set()
    assert "chat.plain" in broken(
        case, seen({"choices": [{**CHAT["choices"][0], "finish_reason": "length"}]})
    )


ERROR = {"error": {"message": "Slow down.", "type": "x", "param": None, "code": None}}


def test_a_failure_keeps_status_sentence_form_and_when_to_come_back() -> None:
    """Each is a clause of its own."""
    case = scenario({"status": 429, "headers": {"Retry-After": "7"}, "json": ERROR})
    assert broken(case, seen(ERROR, 429, headers={"retry-after": "7"})) == set()
    assert broken(case, seen(ERROR, 429)) == {"errors.retry-after"}
    assert broken(case, seen({"detail": "Slow down."}, 500, headers={"retry-after": "7"})) == {
        "errors.status-first",
        "errors.envelope",
        "errors.message",
    }


def test_keys_of_a_gateways_own_are_asked_for_and_kept() -> None:
    """A wrong one is 401 or 403 and no call; the client's goes no further."""
    case = scenario({"json": CHAT}, client={"auth": "wrong"})
    assert broken(case, seen(ERROR, 401, upstream=()), own_key=True) == set()
    assert broken(case, seen(CHAT), own_key=True) == {"auth.required"}
    leaked = seen(CHAT, faults=[KEY_LEAKED])
    assert broken(scenario({"json": CHAT}), leaked, own_key=True) == {"auth.never-upstream"}
    assert broken(scenario({"json": CHAT}), leaked) == set()


def test_what_the_api_refuses_is_refused() -> None:
    """With any status from 400 to 499, in the envelope; other refusals are each project's own."""
    case = scenario(clauses=("chat.plain", "requests.types"))
    assert broken(case, seen(ERROR, 422, upstream=())) == set()
    assert broken(case, seen(CHAT)) == {"requests.types"}
    assert duties(scenario(clauses=("requests.steering",)), seen(CHAT), own_key=False) == {}


def test_a_provider_that_cant_be_reached_is_a_failure() -> None:
    """A status from 500 on, or a connection that breaks."""
    for case in (scenario({"fault": "reset"}), scenario(deployment={"refused": True})):
        assert broken(case, seen(ERROR, 502)) == set()
        assert broken(case, seen(exchange=Exchange(method="POST", path="/", failed="reset"))) == set()
        assert broken(case, seen({}, 200)) == {"errors.unreachable"}


def test_a_list_of_models_is_one() -> None:
    """An object for each."""
    case = scenario({"json": {}}, client={"method": "GET", "path": "/v1/models", "json": None})
    assert "models.list" not in broken(case, seen({"data": [{"id": "a", "object": "model"}]}))
    assert "models.list" in broken(case, seen({"data": ["a"]}))


def test_a_success_that_is_no_answer_is_each_gateways_own() -> None:
    """What becomes of it isn't judged."""
    assert "chat.plain" not in duties(scenario({"json": {"hello": 1}}), seen(ERROR, 502), own_key=False)


def test_events_without_their_names_are_read_and_told() -> None:
    """A client that goes by the type in the data hears the same; the names are owed all the same."""
    events = [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"},
        {"type": "response.completed", "response": {"status": "completed"}},
    ]
    case = scenario(
        {"sse": [{"event": event["type"], "data": event} for event in events]},
        client={"path": "/v1/responses"},
    )
    for named in (True, False):
        frames = [Frame(event=str(e["type"]) if named else "message", data=e) for e in events]
        stream = Stream(frames=frames, message=fold(frames), done=named)
        response = Response(status=200, headers={}, stream=stream)
        exchange = Exchange(method="POST", path="/v1/responses", response=response)
        found = duties(case, seen(exchange=exchange), own_key=False)["responses.stream"]
        assert [v.actual for v in found] == ([] if named else ["unnamed events"])
