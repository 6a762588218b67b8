"""A shop's assistant behind a memory proxy: ten tests as somebody writes them after reading docs/testing.md."""

from concurrent.futures import ThreadPoolExecutor
from unittest.mock import AsyncMock, patch

from parity.kit import MockHTTPResponse, ToolCall, When, mock_completion_response, mock_model_response

URL = "/v1/chat/completions"


def question(text, **more):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}


def said(response):
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def test_an_order_is_found(target):
    target.answers("Order 7 is on its way.")
    assert said(target.client.post(URL, json=question("Where is order 7?"))) == "Order 7 is on its way."
    assert [call.body["messages"][0]["content"] for call in target.calls] == ["Where is order 7?"]


def test_the_customer_is_told_upstream(target):
    target.client.post(URL, json=question("Hello?"), headers={"x-memory-user-id": "customer-12"})
    assert target.calls[0].headers == {"x-sm-user-id": "customer-12"}


def test_an_answer_is_streamed(target):
    target.streams(["Order 7", " is lost."])
    text = target.client.post(URL, json=question("Where is order 7?", stream=True)).text
    assert '"content":" is lost."' in text
    assert text.endswith("data: [DONE]\n\n")


def test_a_busy_provider(target):
    target.refuses(429, "Too many customers.", retry_after="20")
    response = target.client.post(URL, json=question("Hello?"))
    assert response.status_code == 429
    assert response.headers["retry-after"] == "20"
    assert response.json()["error"]["message"] == "Too many customers."


def test_a_long_complaint(target):
    target.refuses(kind="context_length")
    response = target.client.post(URL, json=question("And another thing…"))
    assert response.json()["error"]["code"] == "context_length_exceeded"


def test_the_stock_is_looked_up(target):
    target.answers(tool_calls=[ToolCall("stock", {"article": "lamp"})])
    target.answers("Three lamps.", when=When(says="3"))
    first = target.client.post(URL, json=question("Any lamps?")).json()
    assert first["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "stock"
    assert said(target.client.post(URL, json=question("There are 3."))) == "Three lamps."


def test_the_shop_remembers(target, mock_supermemory_api):
    mock_supermemory_api.remembers("Bought a blue lamp.", user_id="customer-12")
    ask = {"json": question("What fits my lamp?")}
    known = target.client.post(URL, **ask, headers={"x-memory-user-id": "customer-12"})
    unknown = target.client.post(URL, **ask, headers={"x-memory-user-id": "customer-13"})
    assert (known.headers["x-memory"], unknown.headers["x-memory"]) == ("hit", "miss")
    hers, theirs = (str(call.body) for call in target.calls)
    assert "blue lamp" in hers
    assert "blue lamp" not in theirs


def test_ten_customers_at_once(target):
    target.answers(lambda asked: asked.says.upper())
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(lambda n: said(target.client.post(URL, json=question(f"customer {n}"))), range(10))
    assert list(answers) == [f"CUSTOMER {n}" for n in range(10)]


def test_by_the_usual_patch(test_client, mock_httpx_client):
    mock_httpx_client.request.return_value = MockHTTPResponse(200, mock_completion_response("Patched."))
    with patch("httpx.AsyncClient", return_value=mock_httpx_client):
        assert said(test_client.post(URL, json=question("Hello?"))) == "Patched."
    assert mock_httpx_client.request.call_args.kwargs["headers"]["x-sm-user-id"] == "default-dev"


def test_by_the_usual_patch_of_litellm(sdk_client):
    with patch("litellm.acompletion", AsyncMock(return_value=mock_model_response("Patched."))) as acompletion:
        assert said(sdk_client.post(URL, json=question("Hello?"))) == "Patched."
    assert acompletion.call_args.kwargs["messages"] == question("Hello?")["messages"]
