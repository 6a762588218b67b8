"""What all dialects share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxies.dialects.base import without_nulls


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ({"a": None, "b": [{"c": None}, None]}, {"b": [{}, None]}),
        ({"message": {"content": None, "refusal": None}}, {"message": {"content": None}}),
        ({"delta": {"content": None}}, {"delta": {}}),
        ({"parameters": {"default": None}}, {"parameters": {"default": None}}),
        ({"text": {"format": {"schema": {"enum": [None], "default": None}}}}, None),
        ({"provider_specific_fields": {"citations": None}}, None),
        ({"message": {"provider_specific_fields": {"refusal": None}}}, {"message": {}}),
        (
            {"message": {"content": None, "provider_specific_fields": {"refusal": "No.", "citations": None}}},
            {
                "message": {
                    "provider_specific_fields": {"citations": None},
                    "content": None,
                    "refusal": "No.",
                }
            },
        ),
        ({"delta": {"provider_specific_fields": {"refusal": "No"}}}, {"delta": {"refusal": "No"}}),
        (
            {"message": {"refusal": "Never.", "provider_specific_fields": {"refusal": "Never."}}},
            {"message": {"refusal": "Never."}},
        ),
        ({"reasoning": {"effort": None}}, None),
    ],
)
def test_without_nulls(said: Any, left: Any) -> None:
    """Keys that are null go, at any depth; a message's content and what is somebody's data stay, and order, too.

    A refusal stands where OpenAI has it.
    """
    assert json.dumps(without_nulls(said)) == json.dumps(said if left is None else left)
