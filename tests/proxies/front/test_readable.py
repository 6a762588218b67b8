"""A content type and a query are read in one way, or refused."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from proxies.errors import ProxyError
from proxies.front.readable import boundary_of, checked_query


def asked(*content_types: str, query: str = "") -> Request:
    headers = [(b"content-type", text.encode("latin-1")) for text in content_types]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": headers,
        "query_string": query.encode("latin-1"),
    }
    return Request(scope)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        " application/json ;charset=utf-8 ",
        'application/json; charset="UTF-8"',
        "application/json;",
        "application/json; profile=x",
        "application/x-www-form-urlencoded",
    ],
)
def test_json(content_type: str) -> None:
    """However it is written, and as curl says it."""
    assert boundary_of(asked(content_type), takes_form=True) is None


def test_no_content_type_is_json() -> None:
    """A client that says nothing sends JSON."""
    assert boundary_of(asked(), takes_form=False) is None


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; BOUNDARY="a b(c)"', b"a b(c)"),
    ],
)
def test_a_form(content_type: str, boundary: bytes) -> None:
    """Its boundary is found, in quotes too."""
    assert boundary_of(asked(content_type), takes_form=True) == boundary


@pytest.mark.parametrize(
    "content_types",
    [
        [""],
        ["application/json;form"],
        ["application/json; a=b c"],
        ["application/json\x0b"],
        ["application/json; charset=utf-8; charset=utf-16"],
        ["application/json", "multipart/form-data; boundary=b"],
        ["application/json", "application/json"],
        ["text/plain"],
        ["multipart/mixed; boundary=b"],
        ["multipart/form-data; boundary=b; charset=utf-7"],
    ],
)
def test_anything_else_is_415(content_types: list[str]) -> None:
    """The sentence says what is taken instead."""
    with pytest.raises(ProxyError, match="send application/json or multipart/form-data") as caught:
        boundary_of(asked(*content_types), takes_form=True)
    assert caught.value.status == 415


def test_a_form_where_none_is_taken() -> None:
    """The routes to a model take JSON alone."""
    with pytest.raises(ProxyError, match=r"send application/json\.$") as caught:
        boundary_of(asked("multipart/form-data; boundary=b"), takes_form=False)
    assert caught.value.status == 415


@pytest.mark.parametrize("parameters", ["", "; boundary=", '; boundary=""', "; boundary=a; boundary=b"])
def test_a_form_without_one_boundary(parameters: str) -> None:
    """Two boundaries are as bad as none."""
    with pytest.raises(ProxyError) as caught:
        boundary_of(asked(f"multipart/form-data{parameters}"), takes_form=True)
    assert caught.value.status in (400, 415)


@pytest.mark.parametrize(
    "query",
    ["", "after=a%2Fb&limit=2", "limit=%C3%A9+x%20&after", "limit=&include=a&include=b%2D", "include[]=%5B"],
)
def test_a_query_goes_up_as_it_is_written(query: str) -> None:
    """Order, repeats, escapes and empty values are kept."""
    lists = {"include", "include[]"}
    assert checked_query(asked(query=query), {"after", "limit", *lists}, lists) == query


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("x=1", "x"),
        ("%61fter=1&AFTER=2", "AFTER"),
        ("after=1&%61fter=2", "after"),
        ("=1", ""),
        ("after=1;x=1", None),
        ("after=%zz", None),
        ("after=\xe9", None),
        ("after=a b", None),
    ],
)
def test_a_query_that_is_not_on_the_list(query: str, param: str | None) -> None:
    """The parameter is named, one that comes twice as well; what parsers could split in two ways is refused whole."""
    with pytest.raises(ProxyError) as caught:
        checked_query(asked(query=query), {"after"})
    assert (caught.value.status, caught.value.param) == (400, param)
