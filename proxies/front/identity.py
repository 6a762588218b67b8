"""Who is asking, refused where the answer could not travel as a header."""

from __future__ import annotations

from starlette.datastructures import Headers

from proxies.config.models import ProxyConfig
from proxies.errors import ProxyError
from proxies.headers import check_travels
from proxies.memory.routing import USER_ID_HEADER, Routing, route


def identify(headers: Headers, config: ProxyConfig) -> Routing:
    """The user that a request counts for. Raises `ProxyError` 400 that names the header."""
    for name in (config.user_id_mappings.custom_header, USER_ID_HEADER):
        if (value := headers.get(name)) is None:
            continue
        check_travels(name, value)
        if len(value) > config.limits.max_user_id_length:
            longest = config.limits.max_user_id_length
            raise ProxyError(400, f"The header '{name}' is longer than {longest} characters.", param=name)
    return route(headers, config.user_id_mappings)
