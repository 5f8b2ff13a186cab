"""A scripted provider that keeps what its callers make, by key: responses, chat completions, conversations,
files, batches and the like. Another key's objects are not found."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from .script import Behaviour, SeenRequest, ok, status

_PREFIXES = {
    "files": "file-",
    "batches": "batch_",
    "messages/batches": "msgbatch_",
    "uploads": "upload_",
    "vector_stores": "vs_",
    "containers": "cntr_",
    "conversations": "conv_",
}
_FILE = re.compile(rb'name="file"[^\r]*\r\n(?:[^\r]+\r\n)*\r\n(.*?)\r\n--', re.DOTALL).search
_TEXT = [{"index": 0, "text": "hi", "finish_reason": "stop", "logprobs": None}]
_JSONL = {"content-type": "application/x-jsonl"}


class Keeper:
    """The script of such a provider (`ScriptedProvider(Keeper())`). `kept` has what is kept by id, each with
    the key that made it."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str | None, dict[str, Any], bytes]] = {}

    def __call__(self, seen: SeenRequest) -> Behaviour:
        name = urlsplit(seen.path).path.removeprefix("/v1").strip("/")
        collection, _, rest = name.partition("/")
        if name.startswith(("messages/batches", "chat/completions")):
            first, second, *more = name.split("/")
            collection, rest = f"{first}/{second}", "/".join(more)
        if collection == "responses" and rest not in ("compact", "input_tokens"):
            return self._talk(seen, "resp_", rest)
        if collection == "chat/completions":
            return self._talk(seen, "chatcmpl-", rest)
        if collection in _PREFIXES:
            return self._manage(seen, collection, rest)
        if seen.dialect is not None:
            return ok()
        return status(200, {"id": "x", "object": name, "data": [], "choices": _TEXT, "input_tokens": 3})

    def _talk(self, seen: SeenRequest, prefix: str, rest: str) -> Behaviour:
        """Answer a model's request and keep the answer, or give back one that is kept."""
        if seen.method == "POST" and not rest:
            made = f"{prefix}{seen.number}"
            self.kept[made] = seen.key, {"id": made, "object": "response", "output": []}, b""
            return ok()
        return self._manage(seen, "responses" if prefix == "resp_" else "chat/completions", rest)

    def _manage(self, seen: SeenRequest, collection: str, rest: str) -> Behaviour:
        made, _, part = rest.partition("/")
        if not made and seen.method == "POST":
            return self._make(seen, collection)
        mine = {name: each for name, each in self.kept.items() if each[0] == seen.key}
        if not made:
            documents = [each[1] for each in mine.values()]
            return status(200, {"object": "list", "data": documents, "has_more": False})
        if made not in mine:
            return status(404, {"error": {"message": f"there is no {made}", "type": "invalid_request_error"}})
        _, document, content = mine[made]
        if part in ("content", "results"):
            return status(200, content, _JSONL)
        if part in ("input_items", "items", "messages", "files"):
            return status(200, {"object": "list", "data": [], "has_more": False})
        if seen.method == "DELETE" and not part:
            del self.kept[made]
            return status(200, {"id": made, "object": f"{collection}.deleted", "deleted": True})
        return status(200, document)

    def _make(self, seen: SeenRequest, collection: str) -> Behaviour:
        made = f"{_PREFIXES[collection]}{seen.number}"
        match = _FILE(seen.body)
        content = b"" if match is None else match[1]
        document: dict[str, Any] = {"id": made, "object": collection.rstrip("s"), "created_at": int(seen.at)}
        if collection == "files":
            document |= {
                "bytes": len(content),
                "size_bytes": len(content),
                "filename": "f",
                "purpose": "batch",
            }
        if collection == "batches":
            output = f"file-of-{made}"
            self.kept[output] = seen.key, {"id": output, "object": "file"}, b"{}\n"
            document |= {**json.loads(seen.body), "status": "completed", "output_file_id": output}
        if collection == "messages/batches":
            url = f"https://{seen.headers.get('host')}/v1/messages/batches/{made}/results"
            document |= {"processing_status": "ended", "results_url": url}
            content = b'{"custom_id": "a", "result": {"type": "canceled"}}\n'
        self.kept[made] = seen.key, document, content
        return status(200, document)
