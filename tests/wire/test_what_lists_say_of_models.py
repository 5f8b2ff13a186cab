"""What lists of models say of each model's limits and abilities, in the shapes of known providers."""

from __future__ import annotations

from typing import Any

from holdfast.wire.model_list import read_facts
from tables import rows

IMAGES = ("text", "image")
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "OpenAI, which says nothing": ({"id": "m", "object": "model", "owned_by": "openai"}, {}),
    "Anthropic": (
        {
            "id": "m",
            "type": "model",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
            "capabilities": {
                "image_input": {"supported": True},
                "pdf_input": {"supported": True},
                "thinking": {"supported": True, "types": {}},
            },
        },
        {"context": 200_000, "output": 64_000, "input": ("text", "image", "pdf"), "reasoning": True},
    ),
    "OpenRouter": (
        {
            "id": "m",
            "context_length": 131_072,
            "architecture": {"input_modalities": ["file", "image", "text"]},
            "top_provider": {"context_length": 131_072, "max_completion_tokens": 16_384},
            "supported_parameters": ["max_tokens", "reasoning", "tools"],
        },
        {"context": 131_072, "output": 16_384, "input": ("text", "image", "pdf"), "reasoning": True},
    ),
    "OpenRouter, a model without thoughts": (
        {"id": "m", "top_provider": {"max_completion_tokens": None}, "supported_parameters": ["tools"]},
        {"reasoning": False},
    ),
    "vLLM": ({"id": "m", "max_model_len": 32_768, "root": "m"}, {"context": 32_768}),
    "Groq": (
        {"id": "m", "context_window": 131_072, "max_completion_tokens": 32_768},
        {"context": 131_072, "output": 32_768},
    ),
    "Mistral": (
        {"id": "m", "max_context_length": 262_144, "capabilities": {"vision": True, "reasoning": False}},
        {"context": 262_144, "input": IMAGES, "reasoning": False},
    ),
    "Moonshot": (
        {"id": "m", "context_length": 262_144, "supports_image_in": True, "supports_video_in": False},
        {"context": 262_144, "input": IMAGES},
    ),
    "Fireworks": (
        {"id": "m", "context_length": 8_192, "supports_image_input": False},
        {"context": 8_192, "input": ("text",)},
    ),
    "LiteLLM": (
        {
            "model_name": "m",
            "model_info": {
                "max_tokens": 4_096,
                "max_input_tokens": 128_000,
                "max_output_tokens": 16_384,
                "supports_vision": True,
                "supports_reasoning": None,
            },
        },
        {"context": 128_000, "output": 16_384, "input": IMAGES},
    ),
    "llama.cpp": ({"id": "m", "meta": {"n_ctx_train": 131_072, "n_ctx": 4_096}}, {"context": 4_096}),
    "DeepInfra": (
        {"id": "m", "metadata": {"context_length": 40_960, "max_tokens": 40_960}},
        {"context": 40_960, "output": 40_960},
    ),
    "Novita": (
        {"id": "m", "context_size": 64_000, "max_output_tokens": 8_000, "input_modalities": ["text"]},
        {"context": 64_000, "output": 8_000, "input": ("text",)},
    ),
    "GitHub": (
        {"id": "m", "limits": {"max_input_tokens": 128_000, "max_output_tokens": 4_096}},
        {"context": 128_000, "output": 4_096},
    ),
    "Gemini": (
        {"name": "m", "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536, "thinking": True},
        {"context": 1_048_576, "output": 65_536, "reasoning": True},
    ),
    "what is no limit": (
        {"id": "m", "context_length": 0, "max_model_len": -1, "max_tokens": True, "max_output_tokens": "9"},
        {},
    ),
    "what is no kind of input": ({"id": "m", "input_modalities": ["smell"], "supports_vision": "yes"}, {}),
    "odd containers": (
        {"id": "m", "model_info": 7, "architecture": ["x"], "capabilities": ["vision"], "limits": None},
        {},
    ),
}


@rows(("item", "known"), SHAPES.values(), ids=[*SHAPES])
def test_a_list_is_read_for_what_it_says_of_a_model(item: dict[str, Any], known: dict[str, Any]) -> None:
    for document in ({"data": [item]}, [item], {"models": [item]}):
        assert read_facts(document) == ({"m": known} if known else {})


def test_a_list_of_names_and_what_is_no_list_say_nothing() -> None:
    for document in (None, 7, {}, {"data": None}, ["a", "b"], {"data": [{"max_model_len": 5}]}):
        assert read_facts(document) == {}
