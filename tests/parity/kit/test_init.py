"""What the kit offers to tests."""

from __future__ import annotations

from parity import kit


def test_exported_names() -> None:
    """The public surface is this list, sorted; each name is there and has a docstring."""
    assert kit.__all__ == sorted(kit.__all__)
    assert all(getattr(kit, name).__doc__ for name in kit.__all__)
    assert kit.__all__ == [
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
