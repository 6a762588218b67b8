"""Clients that are recognised by what they send as their `User-Agent`; docs/clients.md says how that is known.

One row each: the client, an example of what it sends, the pattern that finds it, and the user that it then counts as.
The same pattern in several rows is one pattern. The first that is found decides.
"""

from __future__ import annotations

from typing import NamedTuple


class Client(NamedTuple):
    """One row of the table."""

    name: str
    agent: str
    pattern: str
    user_id: str


CLIENTS = (
    Client("PyCharm's assistant", "OpenAIClientImpl/Java 1.0", r"^OpenAIClientImpl/Java", "pycharm-ai"),
    Client("Claude Code, older", "Claude Code/1.0", r"^Claude Code", "claude-code"),
    Client("Claude Code", "claude-cli/2.0.14 (external, cli)", r"^claude-cli/", "claude-code"),
    Client(
        "Anthropic's Python client, older",
        "anthropic-sdk-python/0.7",
        r"^anthropic-sdk-python",
        "anthropic-python",
    ),
    # The official clients send their class name: AsyncOpenAI/Python 2.54.0.
    Client(
        "Anthropic's Python client",
        "Anthropic/Python 2.11.0",
        r"^(Async)?Anthropic/Python",
        "anthropic-python",
    ),
    Client(
        "Anthropic's Python client, async",
        "AsyncAnthropic/Python 2.11.0",
        r"^(Async)?Anthropic/Python",
        "anthropic-python",
    ),
    Client("OpenAI's Python client", "OpenAI/Python 2.54.0", r"^(Async)?OpenAI/Python", "openai-python"),
    Client(
        "OpenAI's Python client, async",
        "AsyncOpenAI/Python 2.54.0",
        r"^(Async)?OpenAI/Python",
        "openai-python",
    ),
    Client(
        "OpenAI's Python client for Azure",
        "AsyncAzureOpenAI/Python 2.54.0",
        r"^(Async)?AzureOpenAI/Python",
        "openai-python",
    ),
    Client("OpenAI's Node client", "OpenAI/JS 6.49.0", r"^(Azure)?OpenAI/JS", "openai-js"),
    Client("OpenAI's Node client for Azure", "AzureOpenAI/JS 6.49.0", r"^(Azure)?OpenAI/JS", "openai-js"),
    Client(
        "OpenAI's Java client, async",
        "OpenAIClientAsyncImpl/Java 4.8.0",
        r"^OpenAIClientAsyncImpl/Java",
        "openai-java",
    ),
    Client("OpenAI's Go client", "OpenAI/Go 3.8.1", r"^OpenAI/Go", "openai-go"),
    Client("Anthropic's Node client", "Anthropic/JS 1.14.0", r"^Anthropic/JS", "anthropic-js"),
    Client(
        "Anthropic's Java client",
        "AnthropicClientImpl/Java 2.10.0",
        r"^AnthropicClient(Async)?Impl/Java",
        "anthropic-java",
    ),
    Client("Anthropic's Go client", "Anthropic/Go 1.17.0", r"^Anthropic/Go", "anthropic-go"),
    Client("Groq's Python client", "AsyncGroq/Python 1.7.0", r"^(Async)?Groq/Python", "groq-python"),
    Client("Groq's Node client", "Groq/JS 1.6.0", r"^Groq/JS", "groq-js"),
    Client("Codex", "codex_cli_rs/0.98.0 (Mac OS 15.1; arm64) iTerm.app", r"^codex_cli_rs/", "codex"),
    Client("Cline", "Cline/3.46.0", r"^Cline/", "cline"),
    Client("Roo Code", "RooCode/3.53.0", r"^RooCode/", "roo-code"),
    Client("Zed", "Zed/0.212.6 (macos; aarch64)", r"^Zed/", "zed"),
    Client("Continue's command line", "Continue-CLI/1.5.0", r"^Continue-CLI/", "continue"),
    Client(
        "Vercel's AI SDK",
        "ai/6.0.326 ai-sdk/provider-utils/4.0.66 runtime/node.js/v20.20.2",
        r"(^| )ai-sdk/",
        "ai-sdk",
    ),
)
