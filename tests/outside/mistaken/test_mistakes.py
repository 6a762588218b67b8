"""One mistake a test, with the words of the table in docs/testing.md as its docstring. All of them fail."""

from unittest.mock import MagicMock, Mock, patch

from parity.kit import When, mock_completion_response

URL = "/v1/chat/completions"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}


def test_unused(mock_httpx_client):
    """A stub that no request used"""
    mock_httpx_client.answers("Never.")


def test_nearest(test_client, mock_httpx_client):
    """Stubs, but none for this request"""
    mock_httpx_client.answers("Sunny.", when=When(says="weather"))
    test_client.post(URL, json=CHAT)


def test_nothing_mocked(test_client):
    """Nothing mocked"""
    test_client.post(URL, json=CHAT)


def test_plain_mock(test_client, mock_httpx_client):
    """A plain `Mock` for a coroutine"""
    with patch("proxies.sessions.ProxySessionManager.get_session", Mock(return_value=mock_httpx_client)):
        test_client.post(URL, json=CHAT)


def test_empty(test_client, mock_httpx_client, configure_mock_httpx_response):
    """An empty body"""
    configure_mock_httpx_response(mock_httpx_client, content="")
    test_client.post(URL, json=CHAT)


def test_no_completion(test_client, mock_httpx_client, configure_mock_httpx_response):
    """A body that is no chat completion"""
    configure_mock_httpx_response(mock_httpx_client, content={"response": "hi"})
    test_client.post(URL, json=CHAT)


def test_whole_for_stream(test_client, mock_httpx_client, configure_mock_httpx_response):
    """A whole body for a stream"""
    configure_mock_httpx_response(mock_httpx_client, content=mock_completion_response())
    test_client.post(URL, json=STREAM)


def test_no_iterator(test_client):
    """A stream that is no async iterator"""
    answer = Mock(
        status_code=200, headers={"content-type": "text/event-stream"}, aiter_bytes=lambda: iter([b""])
    )
    client = MagicMock()
    client.stream.return_value.__aenter__.return_value = answer
    with patch("httpx.AsyncClient", return_value=client):
        test_client.post(URL, json=STREAM)


def test_wrong_name():
    """A patch of a wrong name"""
    with patch("proxies.binary.httpx_client"):
        pass


def test_no_effect(test_client):
    """A patch without effect"""
    with patch("httpx.AsyncClient.post"):
        test_client.post(URL, json=CHAT)
