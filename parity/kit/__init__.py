"""Holds the test kit: mocks made from recordings, for tests of either proxy, or of both at once.

Its fixtures come with the installed package; `docs/testing.md` starts with a first test.
"""

from parity.kit.bodies import (
    mock_completion_response,
    mock_error_response,
    mock_message_response,
    mock_models_list,
    mock_routing_info,
    mock_streaming_chunks_sequence,
)
from parity.kit.client import MockAsyncClient, configure_mock_httpx_response
from parity.kit.completion import Completion, Refusal, ToolCall
from parity.kit.http_answers import MockHTTPResponse
from parity.kit.litellm_mock import MockCompletion
from parity.kit.litellm_objects import mock_litellm_exception, mock_model_response, mock_stream_wrapper
from parity.kit.memory_api import MockSupermemoryAPI
from parity.kit.mistakes import MockMistake
from parity.kit.proxy_client import ProxyClient
from parity.kit.stubs import Asked, When
from parity.kit.target import KitTarget

__all__ = [
    "Asked",
    "Completion",
    "KitTarget",
    "MockAsyncClient",
    "MockCompletion",
    "MockHTTPResponse",
    "MockMistake",
    "MockSupermemoryAPI",
    "ProxyClient",
    "Refusal",
    "ToolCall",
    "When",
    "configure_mock_httpx_response",
    "mock_completion_response",
    "mock_error_response",
    "mock_litellm_exception",
    "mock_message_response",
    "mock_model_response",
    "mock_models_list",
    "mock_routing_info",
    "mock_stream_wrapper",
    "mock_streaming_chunks_sequence",
]
