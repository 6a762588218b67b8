"""Reads what stands around a request's body, its content type and its query, in one way or refuses it.

content-type ──> JSON | the boundary of a form | 415
query ─────────> as it is written, of the parameters on a list | 400
"""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.requests import Request

from proxies.errors import ProxyError
from proxies.support.redact import redact_text

JSON_TYPES = ("application/json", "application/x-www-form-urlencoded")
"""Labels of a body that is read as JSON, and goes up as JSON. The second is what curl calls whatever `-d` sends."""
FORM_TYPE = "multipart/form-data"

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_VALUE = rf'(?:{_WORD}|"[^"\\\x00-\x1f\x7f]*")'
_CONTENT_TYPE = re.compile(rf"[ \t]*({_WORD}/{_WORD})((?:[ \t]*;[ \t]*{_WORD}={_VALUE})*)[ \t]*;?[ \t]*")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$'()*+,/:=@?&\[\]-]|%[0-9A-Fa-f]{2})*")
_PARAMETER = re.compile(rf";[ \t]*({_WORD})=({_VALUE})")


def boundary_of(request: Request, *, takes_form: bool) -> bytes | None:
    """The boundary of the form that the body is; None when it is to be read as JSON.

    Raises `ProxyError` 415 for a content type that the route doesn't take, or that could be read in two ways.
    """
    written = request.headers.getlist("content-type")
    if not written:
        return None
    taken = [JSON_TYPES[0], *([FORM_TYPE] if takes_form else [])]
    matched = _CONTENT_TYPE.fullmatch(written[0]) if len(written) == 1 else None
    if matched is None:
        raise _unsupported(", ".join(written), taken)
    kind = str(matched[1]).lower()
    parameters = [(name.lower(), value.strip('"')) for name, value in _PARAMETER.findall(matched[2])]
    charsets = [value.lower() for name, value in parameters if name == "charset"]
    boundaries = [str(value) for name, value in parameters if name == "boundary"]
    if any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise _unsupported(written[0], taken)
    if kind in JSON_TYPES:
        return None
    if kind != FORM_TYPE or not takes_form:
        raise _unsupported(written[0], taken)
    if len(boundaries) != 1 or not boundaries[0]:
        raise ProxyError(400, "The request body is a form without a boundary.")
    return boundaries[0].encode("latin-1")


def checked_query(request: Request, allowed: Collection[str], repeatable: Collection[str] = ()) -> str:
    """The query as it is written, without its question mark; raises `ProxyError` 400, with `param` for a name."""
    query: str = request.scope["query_string"].decode("latin-1")
    if not _QUERY.fullmatch(query):
        raise ProxyError(
            400, "The query must be percent-encoded: parsers would read it differently as it is."
        )
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        shown = redact_text(name)
        if name not in allowed:
            raise ProxyError(400, f"The query parameter '{shown}' is not allowed on this route.", param=shown)
        if name in seen and name not in repeatable:
            raise ProxyError(400, f"The query parameter '{shown}' is there twice; send it once.", param=shown)
        seen.add(name)
    return query


def _unsupported(written: str, taken: Collection[str]) -> ProxyError:
    return ProxyError(
        415, f"The content type '{redact_text(written)}' is not read here; send {' or '.join(taken)}."
    )
