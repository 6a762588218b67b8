"""A user id is one that can travel, or the request is refused."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from proxies.errors import ProxyError
from proxies.front.identity import identify
from tests.proxies.front.fakes import make_config

CONFIG = make_config(limits={"max_user_id_length": 8}, user_id_mappings={"custom_header": "x-who"})


def test_who_is_asking() -> None:
    """An id within the limit counts; what comes from a pattern or the default isn't measured."""
    assert identify(Headers({"x-who": "12345678"}), CONFIG).user_id == "12345678"
    assert identify(Headers({"user-agent": "OpenAI/Python 2.0"}), CONFIG).user_id == "openai-python"
    assert identify(Headers({"x-who": " "}), CONFIG).user_id == "default-dev"


@pytest.mark.parametrize("name", ["x-who", "x-sm-user-id"])
@pytest.mark.parametrize("value", ["123456789", "José", "a\r\nb: c", "a\nb", "a\0", "a\x7f", "a\x1b"])
def test_an_id_that_can_not_travel(name: str, value: str) -> None:
    """Too long, not ASCII, or with a control character: the refusal names the header that held it."""
    with pytest.raises(ProxyError) as refused:
        identify(Headers(raw=[(name.encode(), value.encode("latin-1"))]), CONFIG)
    assert (refused.value.status, refused.value.param) == (400, name)
    assert value not in refused.value.message
