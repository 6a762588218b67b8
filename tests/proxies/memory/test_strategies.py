from __future__ import annotations

import copy
import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.config.memory import ContextRetrieval, InjectionStrategy, QueryStrategy
from proxies.errors import Dialect
from proxies.memory.store import Memories, Result
from proxies.memory.strategies import (
    CLOSE,
    MAX_QUERY,
    OPEN,
    Injection,
    find_turn,
    inject,
    is_injected,
    render,
    text_of,
)

QUERIES = get_args(QueryStrategy)
INJECTIONS = get_args(InjectionStrategy)
DIALECTS = get_args(Dialect)

text = st.text(max_size=20)
parts = st.lists(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("text"), "text": text}),
        st.just({"type": "image_url", "image_url": {"url": "data:,"}}),
        st.just({"type": "tool_result", "tool_use_id": "t", "content": "7"}),
    ),
    max_size=3,
)
messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
            "content": st.one_of(st.none(), text, parts),
        }
    ),
    min_size=1,
    max_size=6,
)
bodies = st.builds(
    lambda said, system: {"messages": said} | ({} if system is None else {"system": system}),
    messages,
    st.one_of(st.none(), text, parts),
)
memories = st.builds(
    lambda profile, results: Memories(tuple(profile), tuple(Result(t, s) for t, s in results)),
    st.lists(st.text(max_size=60), max_size=6),
    st.lists(st.tuples(st.text(max_size=60), st.none() | st.floats(0, 1)), max_size=6),
)


def ask(*said: tuple[str, Any]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": role, "content": content} for role, content in said]}


@given(bodies, st.sampled_from(INJECTIONS), st.sampled_from(DIALECTS))
def test_injection_only_adds(body: dict[str, Any], strategy: InjectionStrategy, dialect: Dialect) -> None:
    """The caller's body is never changed, every word of it is still there, and each text comes in once."""
    before = copy.deepcopy(body)
    turn = find_turn(body, "last_user")
    if turn is None:
        return
    injection = Injection(
        system="" if strategy.startswith("user") else "§system§",
        user="" if strategy == "system" else "§user§",
    )
    made = inject(body, turn, injection, strategy, dialect)
    assert body == before
    sent = json.dumps(made)
    assert sent.count("\\u00a7system\\u00a7") == bool(injection.system)
    assert sent.count("\\u00a7user\\u00a7") == bool(injection.user)
    added = len(made["messages"]) - len(body["messages"])
    for old, new in zip(body["messages"], made["messages"][added:], strict=True):
        assert new["role"] == old["role"]
        assert text_of(old["content"]) in text_of(new["content"])
        if isinstance(old["content"], list):
            assert [part for part in new["content"] if part in old["content"]] == old["content"]
    assert inject(body, turn, injection, strategy, dialect) == made


@given(bodies, messages, st.sampled_from(QUERIES))
def test_a_turn_is_the_same_throughout_its_tool_loop(
    body: dict[str, Any], more: list[dict[str, Any]], query: QueryStrategy
) -> None:
    """What follows the user's last message changes neither what is asked nor which turn it is."""
    turn = find_turn(body, query)
    if turn is None:
        return
    rest = [message for message in more if message["role"] in ("assistant", "tool")]
    later = find_turn({**body, "messages": [*body["messages"], *rest]}, query)
    assert later is not None
    assert (later.digest, later.query, later.position) == (turn.digest, turn.query, turn.position)
    assert later.continued is (turn.continued or bool(rest))


@given(
    memories,
    st.sampled_from(INJECTIONS),
    st.integers(0, 4),
    st.integers(1, 30),
    st.integers(1, 400),
    st.floats(0, 1),
)
def test_render_keeps_every_limit(
    found: Memories, strategy: InjectionStrategy, number: int, length: int, total: int, similarity: float
) -> None:
    """However much a store has: no more than allowed goes in, no line twice, and fences are ours alone."""
    settings = ContextRetrieval(
        injection_strategy=strategy,
        max_results=number,
        max_item_length=length,
        max_context_length=total,
        min_similarity=similarity,
    )
    injection = render(found, settings)
    both = injection.system + injection.user
    assert len(both) <= total
    both.encode()
    items = [line.removeprefix("- ") for line in both.split("\n") if line.startswith("- ")]
    assert all(0 < len(item) <= length for item in items)
    assert len(items) <= len(found.profile) + number
    assert both.count(OPEN) == both.count(CLOSE) == bool(injection.system) + bool(injection.user)
    assert bool(items) is bool(injection)


@pytest.mark.parametrize(
    ("strategy", "query"),
    [
        ("last_user", "third"),
        ("first_user", "first\nstill first"),
        ("all_user", "first\nstill first\nsecond\nthird"),
        ("last_assistant", "answer two"),
    ],
)
def test_queries(strategy: QueryStrategy, query: str) -> None:
    """Each strategy takes the words it is named after, of text and of lists of parts."""
    body = ask(
        ("system", "rules"),
        (
            "user",
            [
                {"type": "text", "text": "first"},
                {"type": "image_url"},
                {"type": "text", "text": "still first"},
            ],
        ),
        ("assistant", "answer one"),
        ("user", "second"),
        ("assistant", [{"type": "text", "text": "answer two"}]),
        ("assistant", None),
        ("user", "third"),
        ("assistant", "a prefill, or a call of a tool"),
    )
    turn = find_turn(body, strategy)
    assert turn is not None
    assert turn.query == query


def test_a_long_question_is_asked_by_its_end() -> None:
    """What is asked is bounded, since users paste whole files."""
    turn = find_turn(ask(("user", "x" * MAX_QUERY + "the question")), "last_user")
    assert turn is not None
    assert len(turn.query) == MAX_QUERY
    assert turn.query.endswith("the question")


def test_nobody_asks() -> None:
    """Without a message of a user there is no turn."""
    assert find_turn(ask(("system", "hello")), "last_user") is None
    assert find_turn(ask(("user", [{"type": "tool_result", "content": "7"}])), "last_user") is None


def test_a_turn_survives_what_clients_rewrite() -> None:
    """Between the requests of a loop text may become a part, marks may move: it is the same turn."""
    plain = find_turn(ask(("system", "a"), ("user", "hello")), "last_user")
    dressed = find_turn(
        ask(
            ("system", "b"),
            ("user", [{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}]),
            ("assistant", [{"type": "tool_use", "id": "t"}]),
            ("user", [{"type": "tool_result", "tool_use_id": "t"}, {"type": "text", "text": "a reminder"}]),
        ),
        "last_user",
    )
    other = find_turn(ask(("user", "hello!")), "last_user")
    assert plain
    assert dressed
    assert other
    assert plain.digest == dressed.digest != other.digest


def test_what_is_there_already_is_seen() -> None:
    """Memories that another proxy put in are recognised, in whichever place and dialect."""
    block = render(Memories(("fact",)), ContextRetrieval(injection_strategy="system")).system
    for body in (
        ask(("user", f"hi\n\n{block}")),
        ask(("system", block), ("user", "hi")),
        {**ask(("user", "hi")), "system": [{"type": "text", "text": block}]},
    ):
        turn = find_turn(body, "last_user")
        assert turn is not None
        assert is_injected(body, turn)
    body = ask(("assistant", block), ("user", "hi"))
    turn = find_turn(body, "last_user")
    assert turn is not None
    assert not is_injected(body, turn)


def test_the_profile_stays_the_same_whatever_was_found() -> None:
    """With `dual` the system prompt doesn't depend on the question, so that it can be cached."""
    settings = ContextRetrieval(max_context_length=300)
    profile = tuple(f"stable fact number {n}" for n in range(20))
    alone = render(Memories(profile), settings)
    beside = render(Memories(profile, tuple(Result(f"result {n}") for n in range(9))), settings)
    assert alone.system == beside.system != ""
    assert beside.user


def test_results_have_room_beside_a_large_profile() -> None:
    """A profile that would fill all the space leaves half of it for what was asked."""
    settings = ContextRetrieval(injection_strategy="system", max_context_length=400)
    profile = tuple(f"stable fact number {n}" for n in range(50))
    system = render(Memories(profile, (Result("what was asked"),)), settings).system
    assert "- what was asked\n" in system
    assert "- stable fact number 5\n" in system


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    """What can't be sent as UTF-8 is replaced before it breaks the request."""
    assert "- cat ?\n" in render(Memories(("cat \ud83d",)), ContextRetrieval()).system


def test_a_memory_can_not_close_its_fence() -> None:
    """What looks like our fence in a memory is made harmless, and its lines become one."""
    settings = ContextRetrieval(injection_strategy="system")
    system = render(Memories((f"a\n{CLOSE}\n- b < / User-Memory >",)), settings).system
    assert system.count(CLOSE) == 1
    assert "- a ‹/user-memory> - b ‹ / User-Memory >\n" in system


def respond(said: Any, **members: Any) -> dict[str, Any]:
    return {"model": "m", "input": said, **members}


ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "input_text", "text": "Where am I?"}]},
    {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "Nothing."},
]


def test_a_responses_text_is_a_turn() -> None:
    """An input that is a text is the user's message, and stays a text."""
    body = respond("Where am I?")
    turn = find_turn(body, "last_user")
    assert turn is not None
    assert (turn.query, turn.continued) == ("Where am I?", False)
    made = inject(body, turn, Injection(system="S", user="U"), "user_suffix", "responses")
    assert made == respond("Where am I?\n\nU", instructions="S")
    assert body == respond("Where am I?")


def test_a_responses_items_are_a_turn() -> None:
    """In a list the user's last item is the one, parts of its own kind are added, and a tool loop goes on with it."""
    body = respond(ITEMS, instructions="Be brief.")
    turn, alone = find_turn(body, "last_user"), find_turn(respond(ITEMS[:1]), "last_user")
    assert turn is not None
    assert alone is not None
    assert (turn.position, turn.continued, turn.digest) == (0, True, alone.digest)
    made = inject(body, turn, Injection(system="S", user="U"), "user_prefix", "responses")
    assert made["instructions"] == "Be brief.\n\nS"
    first, *rest = made["input"]
    assert first["content"] == [{"type": "input_text", "text": "U"}, *ITEMS[0]["content"]]
    assert rest == ITEMS[1:]
    assert "messages" not in made


def test_a_response_that_goes_on_without_a_user() -> None:
    """Where only a tool's result is sent there is no turn."""
    assert find_turn(respond(ITEMS[2:], previous_response_id="resp_1"), "last_user") is None


def test_injected_instructions_are_recognised() -> None:
    """Memories in the instructions are there already."""
    body = respond("Hi.", instructions=f"{OPEN}\n- x\n{CLOSE}")
    turn = find_turn(body, "last_user")
    assert turn is not None
    assert is_injected(body, turn)
    assert not is_injected(respond("Hi."), turn)
