"""The one redactor: whatever prints a header, a body or a log line goes through here first.

Four ways in, one for each shape of data; all mask with `***`, keep what is no secret, and are idempotent:

    redact_text     prose, log lines, tracebacks: by the look of a value (`Bearer …`, `sk-…`) or by its name
    redact_headers  a header mapping: by name; of cookies the names stay
    redact_json     parsed JSON: by key, at any depth, and every string as text
    redact_url      an address: user, password and query are left out

`register_secret` adds values that no pattern can know, such as the master key.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

MASK = "***"

_SHORTEST_SECRET = 4
_SHORTEST_INSIDE = 9  # bytes
_SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-supermemory-api-key",
        "x-litellm-api-key",
        "x-amz-security-token",
    }
)
_COOKIE_HEADERS = frozenset({"cookie", "set-cookie"})
_COOKIE_ATTRIBUTES = frozenset(
    {"path", "domain", "expires", "max-age", "samesite", "secure", "httponly", "partitioned", "priority"}
)
_SECRET_KEYS = _SECRET_HEADERS | {
    "access-token",
    "apikey",
    "auth-token",
    "aws-access-key-id",
    "aws-secret-access-key",
    "aws-session-token",
    "client-secret",
    "id-token",
    "master-key",
    "password",
    "refresh-token",
    "salt-key",
    "secret",
    "secret-key",
    "vertex-credentials",
}

_SECRET_WORDS = frozenset(
    {
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "key",
        "keys",
        "passphrase",
        "passwd",
        "password",
        "secret",
        "secrets",
        "sig",
        "signature",
        "token",
    }
)

# Values that give themselves away. Lower-case words after "bearer" are prose ("a bearer token is missing").
_LOOKS_SECRET = re.compile(
    r"""
    (?<![A-Za-z0-9]) (?: sk | pk | rk | xai ) - [\w*-]{4,}
  | (?<![A-Za-z0-9]) (?: gsk | sm | hf | ghp | gho | github_pat ) _ [\w-]{12,}
  | (?<![A-Za-z0-9]) xox[abeprs] - [\w-]{8,}
  | (?<![A-Za-z0-9]) AIza [\w-]{20,}
  | (?<![A-Za-z0-9]) (?: AKIA | ASIA ) [A-Z0-9]{12,}
  | (?<![A-Za-z0-9]) eyJ [\w-]{8,} \. [\w-]+ (?: \. [\w-]* )?
    """,
    re.VERBOSE,
)
_BEARER = re.compile(r"\b([Bb]earer|BEARER)(\s+)(?![a-z]{1,19}(?![\w.~+/=-]))[\w.~+/=-]+")
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")

# First words of sentences about a key: "master_key: must be text". What else follows a name is its value.
_PROSE = (
    "a|an|and|can|cannot|did|does|give|has|in|invalid|is|missing|must|needs|neither|no|not|or|put|required"
    "|should|the|unknown|was"
)
# No word boundary on the left, so that OPENAI_API_KEY=… is found at API_KEY without a scan back.
_NAMED = re.compile(
    r"""
    (?P<head>
        (?: (?P<cookie> (?:set-)? cookie )
          | authorization
          | (?: x-amz-security | access | refresh | auth | id | session ) [-_]? token
          | api [-_ ]? key (?: [ ] provided )?
          | (?: master | salt | secret [-_] access | secret | access ) [-_]? key (?: [-_]id )?
          | client [-_]? secret
          | password
        )
        \\* ["']? \s* (?: : | = | (?<=["']) , ) [ \t]*
    )
    (?: (?P<prefix>b?) (?P<quote> \\* ["'] ) (?P<quoted> .*? ) (?P<close> (?<!\\) (?P=quote) | $ )
      | (?! (?: {prose} ) (?: [ ] | n't | ' ) )
        (?P<bare> (?: (?: bearer | basic | token ) [ ]+ )? [^\s"',;&)}\]\\]+ )
    )
    """.replace("{prose}", _PROSE),
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# LiteLLM leaves the middle of long log messages out, and half a secret on either side of the gap.
_GAP = re.compile(r"\.\.\. \(litellm_truncated skipped \d+ chars\..*? in your env\.\) \.\.\.")
_WORD_BEFORE = re.compile(r"\S{1,4096}\Z")
_WORD_AFTER = re.compile(r"\S{1,4096}")
_KEY_IN_QUERY = re.compile(r"(?<=[?&]key=)[^&\s\"']+")
_REST_OF_COOKIES = re.compile(r"(?:;[^\r\n\"']*)?")

# What none of the patterns above can match without, in text whose case is folded. Most texts have nothing of it, and to
# look for it takes a tenth of the time. No `i` in the words: patterns take İ and ı for one, and neither folds to it.
_HINTS = re.compile(
    "://|bearer|sk-|pk-|rk-|xai-|gsk_|sm_|hf_|ghp_|gho_|github_pat_|xox|aiza|akia|asia|eyj"
    "|cook|author|token|key|secret|passw|litellm_truncated"
)

_registered: dict[str, tuple[str, ...]] = {}
_masked: tuple[str, ...] = ()


def register_secret(value: str) -> None:
    """Mask `value` from now on, wherever it stands, in percent encoding and in base64 too.

    Under 4 characters it is ignored: prose would suffer.
    """
    if len(value) >= _SHORTEST_SECRET and value.strip("*") and value not in _registered:
        _registered[value] = tuple(_forms(value))
        _renew()


def forget_secret(value: str) -> None:
    """Undo `register_secret`; unknown values are fine."""
    if _registered.pop(value, None) is not None:
        _renew()


@contextmanager
def scoped_secrets() -> Iterator[None]:
    """Forget at the end what was registered inside, and bring back what was forgotten inside. For tests."""
    before = dict(_registered)
    try:
        yield
    finally:
        _registered.clear()
        _registered.update(before)
        _renew()


def is_secret_name(name: str) -> bool:
    """Whether what goes by this name, of a setting or a parameter, is a secret: `api_key`, `x-auth-token`."""
    return not _SECRET_WORDS.isdisjoint(re.split(r"[-_. ]", name.lower()))


def redact_text(text: str, *secrets: str) -> str:
    """`text` without credentials; `secrets` are masked in this call, registered ones in every call."""
    known = _masked
    if secrets:
        extra = [s for s in secrets if len(s) >= _SHORTEST_SECRET and s.strip("*")]
        known = tuple(sorted({*known, *extra}, key=len, reverse=True))
    for secret in known:
        if secret in text:
            text = text.replace(secret, MASK)
    return _without_what_looks_secret(text) if _HINTS.search(text.casefold()) else text


def redact_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """A copy fit to be printed: names as given, secret values masked, repeated headers joined by a comma."""
    clean: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        masked = _redact_header(name.lower(), value)
        clean[name] = f"{clean[name]}, {masked}" if name in clean else masked
    return clean


def redact_json(value: Any) -> Any:
    """A copy of parsed JSON fit to be printed; name and value pairs in lists count as headers."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            (redact_text(key) if isinstance(key, str) else key): _redact_member(key, item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        if len(value) == 2 and all(isinstance(item, str) for item in value):
            return [redact_text(value[0]), _redact_header(value[0].lower(), value[1])]
        return [redact_json(item) for item in value]
    return value


class RedactingFilter(logging.Filter):
    """Redacts message, traceback and stack of a record. For handlers: a logger's misses its children's."""

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "uvicorn.access" and isinstance(record.args, tuple):
            # Its formatter takes the arguments apart, so they have to stay a tuple of the same length.
            record.args = tuple(redact_text(a) if isinstance(a, str) else a for a in record.args)
        else:
            try:
                record.msg, record.args = redact_text(record.getMessage()), None
            except (TypeError, ValueError):
                record.msg, record.args = redact_text(str(record.msg)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact_text(record.exc_text)
        if record.stack_info:
            record.stack_info = redact_text(record.stack_info)
        return True


def redact_url(url: str) -> str:
    """Scheme, host, port and path of an address: what else it may hold can be a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return MASK
    return redact_text(f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}")


def _without_what_looks_secret(text: str) -> str:
    text = _CREDENTIALS_IN_URL.sub(MASK, text)
    text = _LOOKS_SECRET.sub(MASK, text)
    text = _BEARER.sub(rf"\1\g<2>{MASK}", text)
    text = _KEY_IN_QUERY.sub(MASK, text)
    text = _mask_named(text)
    return _mask_around_gaps(text) if "litellm_truncated" in text else text


def _renew() -> None:
    global _masked
    _masked = tuple(sorted({form for forms in _registered.values() for form in forms}, key=len, reverse=True))


def _forms(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    sent = value.encode("utf-8", "surrogateescape")
    yield base64.b64encode(sent).decode().rstrip("=")
    yield base64.urlsafe_b64encode(sent).decode().rstrip("=")
    if len(sent) < _SHORTEST_INSIDE:
        return
    for shift in range(3):
        # In the middle of something longer, such as `user:password`: what its neighbours have no part in.
        whole = base64.b64encode(b"x" * shift + sent).decode()
        yield whole[4 if shift else 0 : (shift + len(sent)) // 3 * 4]


def _redact_header(name: str, value: str) -> str:
    name = name.removeprefix("llm_provider-")  # LiteLLM hands on the provider's headers under such names
    if name in _COOKIE_HEADERS:
        return _mask_cookies(value, keep_attributes=name == "set-cookie")
    if name in _SECRET_HEADERS:
        return MASK if value else value
    return redact_text(value)


def _redact_member(key: Any, item: Any) -> Any:
    name = key.lower().replace("_", "-").removeprefix("llm-provider-") if isinstance(key, str) else ""
    if name in _COOKIE_HEADERS and isinstance(item, str):
        return _redact_header(name, item)
    if name in _COOKIE_HEADERS or name == "cookies" or name in _SECRET_KEYS or name.endswith("-api-key"):
        return _mask_all(item)
    return redact_json(item)


def _mask_all(item: Any) -> Any:
    """Masks every leaf; names, null, booleans and empty strings say nothing secret and stay."""
    if isinstance(item, Mapping):
        return {key: _mask_all(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_mask_all(value) for value in item]
    return item if item is None or item == "" or isinstance(item, bool) else MASK


def _mask_cookies(value: str, *, keep_attributes: bool) -> str:
    if not keep_attributes:
        return "; ".join(_mask_pair(pair) for pair in _parts(value))
    # Several Set-Cookie values come joined by commas, and Expires holds one of its own.
    cookies = re.split(r",\s*(?=[^;,=\s]+=)", value)
    return ", ".join(
        "; ".join(
            pair if i and pair.partition("=")[0].strip().lower() in _COOKIE_ATTRIBUTES else _mask_pair(pair)
            for i, pair in enumerate(_parts(cookie))
        )
        for cookie in cookies
    )


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(";") if part.strip()]


def _mask_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals else MASK


def _mask_around_gaps(text: str) -> str:
    out, end = "", 0
    for gap in _GAP.finditer(text):
        before = text[end : gap.start()]
        after = _WORD_AFTER.match(text, gap.end())
        word = _WORD_BEFORE.search(before, max(0, len(before) - 4096))
        out += (before[: word.start()] + MASK if word else before) + gap[0] + (MASK if after else "")
        end = after.end() if after else gap.end()
    return out + text[end:]


def _mask_named(text: str) -> str:
    out: list[str] = []
    end = 0
    for match in _NAMED.finditer(text):
        if match.start() < end:
            continue
        out.append(text[end : match.start()])
        end = match.end()
        head = match["head"]
        if match["cookie"]:
            keep = match["cookie"].lower() == "set-cookie"
            if match["bare"] is not None:
                rest = _REST_OF_COOKIES.match(text, end)
                stop = rest.end() if rest else end
                masked = _mask_cookies(text[match.start("bare") : stop], keep_attributes=keep)
                end = stop
            else:
                masked = _quoted(match, _mask_cookies(match["quoted"], keep_attributes=keep))
        elif match["bare"] is not None:
            masked = MASK
        else:
            masked = _quoted(match, MASK if match["quoted"] else "")
        out.append(head + masked)
    out.append(text[end:])
    return "".join(out)


def _quoted(match: re.Match[str], value: str) -> str:
    return f"{match['prefix']}{match['quote']}{value}{match['close']}"
