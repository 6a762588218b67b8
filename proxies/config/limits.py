"""The section `limits` of the configuration: how much of a proxy's resources clients and providers may take.

The largest body is LiteLLM's own key, `general_settings.max_request_size_mb`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from proxies.egress import AnswerLimits

_Count = Annotated[int, Field(ge=1, le=1_000_000)]
_Bytes = Annotated[int, Field(ge=64 * 1024, le=1024 * 1024 * 1024)]
_Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Limits(BaseModel):
    """Sizes in bytes, times in seconds. Whoever goes over one is refused; nobody waits for a place."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    max_concurrent_requests: _Count = Field(500, description="being answered, streams until they end")
    max_connections: _Count = Field(2000, description="open at the same time, idle ones too")
    max_headers: _Count = Field(100, description="of one request")
    max_header_bytes: Annotated[int, Field(ge=1024, le=1024 * 1024)] = Field(
        32 * 1024, description="names and values of one request's headers together"
    )
    max_user_id_length: Annotated[int, Field(ge=1, le=4096)] = Field(256, description="characters")
    max_nesting: Annotated[int, Field(ge=10, le=500)] = Field(
        100, description="lists and objects in one another, in a request's JSON"
    )
    max_answer_bytes: _Bytes = Field(64 * 1024 * 1024, description="of a provider's plain answer, unpacked")
    max_frame_bytes: _Bytes = Field(8 * 1024 * 1024, description="of one frame of a provider's stream")
    max_compression_ratio: Annotated[int, Field(ge=10, le=1000)] = Field(
        100, description="of a provider's answer: bytes unpacked for a byte packed"
    )
    max_values: Annotated[int, Field(ge=1000, le=10_000_000)] = Field(
        400_000, description="in a request's JSON: commas and opening brackets outside of texts"
    )
    max_messages: Annotated[int, Field(ge=1, le=100_000)] = Field(
        2048, description="of one request, and items of its input"
    )
    max_parts: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        10_000, description="of all messages together: content blocks, tool calls"
    )
    max_tools: Annotated[int, Field(ge=1, le=100_000)] = Field(512, description="of one request")
    max_schema_size: Annotated[int, Field(ge=100, le=1_000_000)] = Field(
        50_000, description="values of all schemas of one request, each reference written out"
    )
    header_timeout: _Seconds = Field(30, description="for a request's headers to arrive")
    body_timeout: _Seconds = Field(120, description="for a request's body to arrive")

    @property
    def answers(self) -> AnswerLimits:
        """Those that a provider's answers are held to."""
        return AnswerLimits(self.max_answer_bytes, self.max_frame_bytes, self.max_compression_ratio)
