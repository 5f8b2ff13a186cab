"""A hint whose value no published schema has is left out, and told as lost: an endpoint would refuse the
whole request for it."""

from __future__ import annotations

from typing import Any

from chat_requests import PNG
from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.exchange import CallerRequest, Destination
from tables import rows

CHAT, RESPONSES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES


def _asked(dialect: Dialect, detail: str, verbosity: str) -> dict[str, Any]:
    if dialect is CHAT:
        image = {"type": "image_url", "image_url": {"url": PNG, "detail": detail}}
        return {"model": "m", "verbosity": verbosity, "messages": [{"role": "user", "content": [image]}]}
    part = {"type": "input_image", "image_url": PNG, "detail": detail}
    return {"model": "m", "text": {"verbosity": verbosity}, "input": [{"role": "user", "content": [part]}]}


def _found(dialect: Dialect, body: dict[str, Any]) -> tuple[str, str]:
    """Return the detail of the image and the verbosity in a body that was written."""
    if dialect is CHAT:
        url = body["messages"][0]["content"][0]["image_url"]
        return url.get("detail", ""), body.get("verbosity", "")
    part = body["input"][0]["content"][0]
    return part["detail"], body.get("text", {}).get("verbosity", "")


@rows(
    ("detail", "verbosity", "in_chat", "in_responses", "less"),
    [
        ("low", "high", ("low", "high"), ("low", "high"), ()),
        ("original", "low", ("high", "low"), ("high", "low"), ("detail",)),
        ("sharp", "terse", ("", ""), ("auto", ""), ("detail", "verbosity")),
    ],
)
def test_a_hint_is_one_that_the_endpoint_knows(
    detail: str, verbosity: str, in_chat: Any, in_responses: Any, less: tuple[str, ...]
) -> None:
    for caller, endpoint, wanted in ((RESPONSES, CHAT, in_chat), (CHAT, RESPONSES, in_responses)):
        asked = CallerRequest(caller, _asked(caller, detail, verbosity), Sealer(b"k"), seed="s", now=1.0)
        made = asked.to(Destination(endpoint, "https://a.test", "m", Caps(verbosity=True)))
        assert _found(endpoint, made.body) == wanted
        assert made.less == less
