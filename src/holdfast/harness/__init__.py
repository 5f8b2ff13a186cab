"""Agent programs we can hand a connection to: one file per harness, each a pure plan. Never runs a harness by itself."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.identity import Dialect

_CHAT, _RESPONSES, _MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES

SPEAKS: Mapping[str, tuple[Dialect, ...]] = {
    "aider": (_CHAT,),
    "claude": (_MESSAGES,),
    "cline": (_CHAT,),
    "codex": (_RESPONSES,),
    "continue": (_CHAT, _MESSAGES),
    "llm": (_CHAT,),
    "opencode": (_CHAT, _RESPONSES, _MESSAGES),
    "pi": (_CHAT, _RESPONSES, _MESSAGES),
    "qwen": (_CHAT, _MESSAGES),
}
"""What each program can speak to an address of the user's own, as far as we speak it too; measured on the wire."""
