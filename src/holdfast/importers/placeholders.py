"""Texts in the place of a key that are no keys: placeholders, lists, references that nobody replaces."""

from __future__ import annotations

import re

_SHORTEST_KEY = 4  # characters
_MARKS = re.compile(r"[<>]|\.\.\.|…|[*•]{3}|[xX]{4}|[\[{(%]\s*[A-Za-z_ ]+\s*[\]})%]")
_WORDS = re.compile(r"[^A-Za-z0-9]+")
_QUOTE = re.compile(r"['\"`]")
_REFERENCE = re.compile(
    r"\$[{(]|\{\{|\{(?:env|file):|\A\$[A-Za-z_]\w*\Z|\A%[A-Za-z_]\w*%\Z"
    r"|\A[a-z][a-z0-9+.-]*://|\A(?:vault|encrypted|arn|age|sops|ssm|keychain|keyring):|\AENC\["
    r"|\Aprojects/\w",
    re.ASCII,
)
"""A text that stands for another one: a variable's, a command's, or what a manager of secrets keeps."""
_SEVERAL = re.compile(r"[,;\n]")
_PLACEHOLDERS = frozenset(
    """
    a abc an anthropic any api apikey auth aws azure azureopenai bearer change changeme claude cohere custom
    deepseek default dummy empty enter example fake fireworks foo foobar from gemini go goes google gpt
    grok groq gsk here hf huggingface in insert ignored is it key keyhere keys kimi litellm llama llamacpp
    llm lm lmstudio local localhost me mistral moonshot mine my n need needed no none not nothing nokey null
    of ollama openai openrouter optional or pass password paste perplexity placeholder please plan pro proj
    project provided put qwen real redacted replace replaceme required sample secret set sk some studio tbd
    test the this to todo together token undefined unset unused use user v1 value vllm with x xai xx xxx
    yes you your yourapikey yourkey zai zhipu
    """.split()
)
"""A text of nothing but these words, whatever stands between them, is a placeholder."""


def is_placeholder(text: str) -> bool:
    """Return whether a text visibly only marks where a key belongs."""
    if _REFERENCE.search(text):
        return False
    if _MARKS.search(text):
        return True
    words = [word for word in _WORDS.split(text.lower()) if word]
    if words[:1] == ["your"] or words[:2] == ["sk", "your"]:
        return True
    return all(word in _PLACEHOLDERS for word in words)


def why_no_key(text: str) -> str:
    """Return why a text is visibly no key, as the end of a sentence; "" when it may be one."""
    if _REFERENCE.search(text):
        return "is a reference that nothing replaces, and not a key"
    if _SEVERAL.search(text):
        return "is a list or has several lines, and not one key"
    if is_placeholder(text):
        return "is a placeholder, and not a key"
    if _QUOTE.search(text):
        return "has quotes in it, which are not closed"
    if len(text) < _SHORTEST_KEY or any(map(str.isspace, text)):
        return "is too short for a key, or has spaces in it"
    return ""
