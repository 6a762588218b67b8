from __future__ import annotations

import base64
import io
import logging
import re
import sys
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.support import redact
from proxies.support.redact import (
    MASK,
    RedactingFilter,
    forget_secret,
    is_secret_name,
    redact_headers,
    redact_json,
    redact_text,
    redact_url,
    register_secret,
    scoped_secrets,
)

HIDDEN = "hunter2Hunter2"


@pytest.fixture
def registered() -> str:
    secret = "plain words as a key"
    register_secret(secret)
    return secret


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {HIDDEN}",
        f"authorization: Basic {HIDDEN}",
        f"got Bearer {HIDDEN} from client",
        f"{{'x-api-key': '{HIDDEN}', 'a': 'b'}}",
        f'{{"api_key": "{HIDDEN}"}}',
        rf"{{\"api_key\": \"{HIDDEN}\"}}",
        f'"api_key": "{HIDDEN} cut off',
        f"(b'x-supermemory-api-key', b'{HIDDEN}')",
        f"OPENAI_API_KEY={HIDDEN} python",
        f"master_key: {HIDDEN}",
        f"https://user:{HIDDEN}@example.org/",
        f"https://example.org/v1?key={HIDDEN}&x=1",
        f"Incorrect API key provided: {HIDDEN}. Find yours at",
        f"cookie: a={HIDDEN}; b={HIDDEN}",
        f"set-cookie: cf_clearance={HIDDEN}; Path=/; HttpOnly",
        f"[('Set-Cookie', 'a={HIDDEN}; Path=/')]",
        f"the key sk-{HIDDEN} is wrong",
        f"token eyJ{HIDDEN}.{HIDDEN}.{HIDDEN}",
    ],
)
def test_a_credential_in_text_is_masked(text: str) -> None:
    """No way of writing a credential that is known here survives."""
    redacted = redact_text(text)
    assert HIDDEN not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "no bearer token found",
        "invalid x-api-key",
        "a task-force to risk-assess the disk-space",
        "model gpt-4o-mini, 12 tokens, finish_reason: stop",
        "chatcmpl-9f8e7d6c5b4a",
        "config.yaml:3: general_settings.master_key: must be text; put it in quotes",
        "config.yaml:3: general_settings.master_key: the environment variable KEY is not set",
    ],
)
def test_prose_stays(text: str) -> None:
    """Text that only talks about credentials is left alone."""
    assert redact_text(text) == text


@given(st.text() | st.from_regex(r"(?:Bearer |sk-|api_key[:=]\"?|cookie: |[\w;,'\" ]){1,12}", fullmatch=True))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """The redactor is idempotent."""
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "pattern",
    [
        redact._CREDENTIALS_IN_URL,
        redact._LOOKS_SECRET,
        redact._BEARER,
        redact._KEY_IN_QUERY,
        redact._NAMED,
        redact._GAP,
    ],
)
@given(data=st.data())
def test_what_a_pattern_finds_has_a_hint(pattern: re.Pattern[str], data: st.DataObject) -> None:
    """Texts without one aren't looked through, so each pattern has to need one."""
    text = data.draw(st.from_regex(pattern))
    assert redact._HINTS.search(text.casefold())


def test_a_hint_is_found_in_any_case() -> None:
    """Letters that a pattern takes for one of a name's words, such as the sign for kelvin, are that one when folded."""
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    for word in ("cook", "author", "token", "key", "secret", "passw"):
        assert word in redact._HINTS.pattern
        for letter in word:
            assert {c.casefold() for c in re.findall(letter, everything, re.IGNORECASE)} == {letter}


def test_secrets_given_or_registered_are_masked(registered: str) -> None:
    """A value that no pattern knows is masked when it is named, for one call or for all."""
    assert redact_text(f"<{registered}>") == "<***>"
    assert redact_text("<other words>", "other words") == "<***>"
    assert redact_text("<other words>") == "<other words>"
    assert redact_json({registered: [registered]}) == {"***": ["***"]}


def test_short_values_are_never_registered() -> None:
    """A secret of three letters would mask half of all prose."""
    register_secret("the")
    assert redact_text("the end") == "the end"


def test_headers_keep_names_and_harmless_values() -> None:
    """Of headers only the secret values go; of cookies the names and attributes stay."""
    assert redact_headers(
        {
            "Authorization": "Bearer abc",
            "X-Api-Key": "abc",
            "Cookie": "a=1; b=2",
            "Set-Cookie": "x=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/, y=2; HttpOnly",
            "Content-Type": "application/json",
        }
    ) == {
        "Authorization": "***",
        "X-Api-Key": "***",
        "Cookie": "a=***; b=***",
        "Set-Cookie": "x=***; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/, y=***; HttpOnly",
        "Content-Type": "application/json",
    }


def test_repeated_headers_are_joined() -> None:
    """Pairs with the same name become one comma-separated value."""
    assert redact_headers([("set-cookie", "a=1"), ("set-cookie", "b=2")]) == {"set-cookie": "a=***, b=***"}


def test_json_is_masked_by_key_at_any_depth() -> None:
    """Values under secret keys are masked, whatever their shape; token counts and words stay."""
    value = {
        "litellm_params": {"api_key": "abc", "aws_secret_access_key": "abc", "max_tokens": 3},
        "openai_api_key": "abc",
        "headers": [["authorization", "abc"], ["cookie", "a=1"]],
        "cookies": {"a": "1"},
        "password": None,
        "logprobs": [{"token": "Hi"}],
    }
    assert redact_json(value) == {
        "litellm_params": {"api_key": "***", "aws_secret_access_key": "***", "max_tokens": 3},
        "openai_api_key": "***",
        "headers": [["authorization", "***"], ["cookie", "a=***"]],
        "cookies": {"a": "***"},
        "password": None,
        "logprobs": [{"token": "Hi"}],
    }


def _logged(name: str = "test.redact") -> tuple[logging.Logger, io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactingFilter())
    logger = logging.Logger(name)
    logger.addHandler(handler)
    return logger, out


def test_the_filter_masks_messages_arguments_and_tracebacks() -> None:
    """Whatever part of a log record holds a key, the log doesn't."""
    logger, out = _logged()
    logger.warning("Bearer %s for %d", HIDDEN, 3)
    try:
        raise ValueError(f"api_key={HIDDEN}")
    except ValueError:
        logger.exception("failed", stack_info=True)
    logger.warning("broken %d", f"sk-{HIDDEN}")
    assert HIDDEN not in out.getvalue()
    assert "ValueError: api_key=***" in out.getvalue()
    assert "Bearer *** for 3" in out.getvalue()


def test_the_filter_leaves_uvicorns_access_arguments_in_place() -> None:
    """uvicorn's formatter takes the five arguments of an access line apart."""
    logger, out = _logged("uvicorn.access")
    logger.warning("%s %s", "GET", f"/v1?api_key={HIDDEN}")
    assert out.getvalue() == "GET /v1?api_key=***\n"


def test_headers_under_litellms_names_are_the_same_secrets() -> None:
    """LiteLLM renames the provider's headers; a cookie stays a cookie, a key a key."""
    seen = {"llm_provider-set-cookie": f"session={HIDDEN}; Path=/", "llm_provider-x-api-key": HIDDEN}
    assert HIDDEN not in str(redact_headers(seen))
    assert HIDDEN not in str(redact_json(seen))


@pytest.fixture
def odd() -> str:
    secret = "pk.9f/+81~secret"
    register_secret(secret)
    return secret


def test_a_registered_secret_is_found_in_other_clothes(odd: str) -> None:
    """Percent encoding and base64 hide nothing, also where base64 holds more than the secret."""
    plain = odd.encode()
    for form in (
        quote(odd, safe=""),
        quote_plus(odd),
        base64.b64encode(plain).decode(),
        base64.urlsafe_b64encode(plain).decode(),
    ):
        assert redact_text(f"a {form} b").rstrip("= b") in ("a ***", "a ***="), form
    for before in (b"", b"u:", b"us:", b"use:", b"user:"):
        whole = base64.b64encode(before + plain + b"|after").decode()
        assert MASK in redact_text(whole)
        assert base64.b64encode(plain[3:12]).decode() not in redact_text(whole)


def test_secrets_of_a_scope(odd: str) -> None:
    """They are forgotten at its end, while those from before it are secrets again."""
    with scoped_secrets():
        register_secret("inside words")
        forget_secret(odd)
        assert redact_text(f"inside words {odd}") == f"*** {odd}"
    assert redact_text(f"inside words {odd}") == "inside words ***"


def test_forgetting_forgets_every_form(odd: str) -> None:
    """What is forgotten is masked in no form any more."""
    forget_secret(odd)
    for form in (odd, quote(odd, safe=""), base64.b64encode(odd.encode()).decode()):
        assert redact_text(form) == form


def test_half_a_secret_beside_a_gap_is_masked() -> None:
    """LiteLLM cuts the middle out of long log messages, wherever that is."""
    gap = "... (litellm_truncated skipped 12 chars. It is (so) set `MAX` in your env.) ..."
    text = redact_text(f"key abc.def{gap}ghi%2Fjkl and more abc{gap}")
    assert text == f"key ***{gap}*** and more ***{gap}"
    assert redact_text(text) == text
    assert redact_text(f"a {gap} b") == f"a {gap} b"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("api_key", True),
        ("X-Auth-Token", True),
        ("aws_secret_access_key", True),
        ("vertex_credentials", True),
        ("password", True),
        ("max_tokens", False),
        ("tokenizer", False),
        ("model", False),
        ("keyboard", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    """A name says whether its value is a secret, word by word."""
    assert is_secret_name(name) is secret


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:hunter22@example.com:8443/v1?key=hunter33#hunter44", "https://example.com:8443/v1"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://[", "***"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    """Scheme, host, port and path stay."""
    assert redact_url(url) == shown
