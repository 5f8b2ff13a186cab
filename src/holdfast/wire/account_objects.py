"""Objects that only one account knows: those that an answer makes, and those that a request refers to. An
object is known by its id; encrypted reasoning, whose id need not be sent back, by its hash."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from ..core.identity import Dialect
from ..translate import SEALED
from .request_body import is_plain, may_have

_LONGEST_ID = 100
_NEWEST = 8
"""Of what a request refers to, so much is looked up: what was made last tells whose it is."""
_REFERENCES = frozenset(
    {
        "previous_response_id",
        "conversation",
        "container",
        "container_id",
        "file_id",
        "file_ids",
        "input_file_id",
        "batch_id",
        "vector_store_ids",
        "prompt",
        "audio",
    }
)
"""Members that hold an id, ids, or an object with an id."""
# Every request that several accounts may answer is searched for the words of its API. An expression that
# begins with a quote passes over all else, and is done with most words at their second letter. The first may
# be that of another word: what is found is parsed.
_SEARCH = {
    Dialect.OPENAI_CHAT: re.compile(rb'"(?:file_id"|audio_)').search,
    Dialect.ANTHROPIC_MESSAGES: re.compile(rb'"(?:file_id"|container")').search,
    Dialect.OPENAI_RESPONSES: re.compile(
        rb'"[cefipv](?:on(?:tainer|tainer_id|versation)|ncrypted_content|ile_ids?|nput_file_id|tem_reference'
        rb'|revious_response_id|rompt|ector_store_ids)"'
    ).search,
}
_ESCAPED_WORD = re.compile(rb"\\u00(?:5[0-9aAfF]|7[0-9aA]|[46][1-9a-fA-F])").search
_SEARCH_BATCH = re.compile(rb'"(?:input_file_id|file_id|batch_id)"').search
_STORE = b'"store"'
_STORES = re.compile(rb'"store"\s*:\s*true').search
_MADE = ("output_file_id", "error_file_id")
"""Members of a batch that name what it made."""
_FREE = frozenset({"metadata", "parameters", "input_schema", "schema", "arguments"})
"""Members in which callers and models write what they like."""


def references(dialect: Dialect, body: bytes, *, to_model: bool = True) -> list[str]:
    """Return the names of the objects that a request refers to, the newest last; none for a body that is no
    JSON. A request that is not for a model may name a file or a batch."""
    search = _SEARCH_BATCH
    if to_model:
        search = _SEARCH[dialect]
    if search(body) is None:
        return []
    return _references(dialect, body)


def may_name_objects(dialect: Dialect, body: bytes) -> bool:
    """Return whether a request to a model may name objects, also by words that are written as escapes."""
    return _SEARCH[dialect](body) is not None or _ESCAPED_WORD(body) is not None


def objects_in(body: bytes) -> set[str]:
    """Return the names of all objects of which a request's body has the ids. What it brings along itself
    (encrypted reasoning) is none."""
    return {name_of(text) for text in _all_texts(body, encrypted=False)}


def _references(dialect: Dialect, body: bytes) -> list[str]:
    texts = _all_texts(body, encrypted=dialect is Dialect.OPENAI_RESPONSES)
    return [name_of(text) for text in texts[-_NEWEST:]]


def _all_texts(body: bytes, *, encrypted: bool) -> list[str]:
    if not is_plain(body):
        return []
    try:
        return list(_texts(json.loads(body), encrypted=encrypted))
    except (ValueError, RecursionError):
        return []


def is_stored(body: bytes | None) -> bool:
    """Return whether a request for a chat completion asks for one that is stored."""
    return body is not None and may_have(_STORE, body) and _STORES(body) is not None


def objects_made(document: Mapping[str, Any], *, stored: bool = False) -> list[str]:
    """Return the names of the objects that an answer says it made: a response that is stored, a conversation,
    containers, and encrypted reasoning. A chat completion makes none, unless it was asked to be `stored`."""
    if "choices" in document:
        return [name_of(text) for text in _ids(document.get("id"))] if stored else []
    texts = [*_ids(document.get("conversation")), *_ids(document.get("container"))]
    if document.get("object") == "response" and document.get("store") is not False:
        texts += _ids(document.get("id"))
    output = document.get("output")
    if isinstance(output, list):
        for item in output:
            if isinstance(item, dict):
                texts += [*_ids(item.get("encrypted_content")), *_ids(item.get("container_id"))]
    return [name_of(text) for text in texts]


def objects_named(answer: bytes) -> list[str]:
    """Return the names of the objects in an answer about what an account keeps: its own id, and the files
    that came of it; none where it is no JSON object."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return []
    if not isinstance(document, dict):
        return []
    texts = [*_ids(document.get("id")), *_ids(document.get("file"))]
    for name in _MADE:
        texts += _ids(document.get(name))
    return [name_of(text) for text in texts]


def _texts(node: Any, *, encrypted: bool) -> Iterator[str]:
    """Yield the ids and the encrypted contents in a part of a request. What a translation sealed binds to no
    account: it is given back to its model, or to nobody."""
    if isinstance(node, list):
        for part in node:
            yield from _texts(part, encrypted=encrypted)
    if not isinstance(node, dict):
        return
    kind = str(node.get("type"))
    if kind == "item_reference":
        yield from _ids(node.get("id"))
    for name, value in node.items():
        if name in _REFERENCES:
            yield from _ids(value)
        if name == "encrypted_content" and encrypted:
            yield from (text for text in _ids(value) if not text.startswith(SEALED))
        elif name not in _FREE and not (name == "input" and kind.endswith("tool_use")):
            yield from _texts(value, encrypted=encrypted)


def _ids(value: Any) -> list[str]:
    """Return the ids in a value: the text itself, those of a list, or the `id` of an object."""
    if isinstance(value, dict):
        value = value.get("id")
    if not isinstance(value, list):
        value = [value]
    return [each for each in value if isinstance(each, str) and each]


def name_of(text: str) -> str:
    """Return the name of an object: its id, or the hash of what is too long for one."""
    if len(text) <= _LONGEST_ID and text.isascii() and text.isprintable():
        return text
    return "hash:" + blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
