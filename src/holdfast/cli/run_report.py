"""The report of a run: what answered, read from the journal, in one line. It says nothing that no recorded
attempt proves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..core.errors import ModelDropped
from ..core.identity import Pin
from ..store.journal_events import (
    Attempted,
    Detail,
    Event,
    ModelDiffered,
    RefusedElsewhere,
    RequestTranslated,
)
from .output import count, if_any


@dataclass(frozen=True, slots=True)
class Account:
    """The requests of one run. `answered` counts them by (pin, host, key); `drift` holds a sentence for each
    way in which another model than the chosen one was used or asked for. `translated` holds, by the dialects
    of the program and of the endpoint, what the translations between them lost."""

    requests: int
    attempts: int
    answered: tuple[tuple[tuple[str, str, str], int], ...]
    drift: tuple[str, ...] = ()
    translated: tuple[tuple[tuple[str, str], tuple[str, ...]], ...] = ()

    def __str__(self) -> str:
        if not self.requests:
            return "no request arrived"
        answers, translations = [], []
        for (pin, host, key), number in self.answered:
            with_key = if_any(" with key '{}'", key)
            answers.append(f"{pin} at {host}{with_key} answered {number}")
        asked = f"{count(self.requests, 'request')}, {count(self.attempts, 'attempt')}"
        for (caller, endpoint), less in self.translated:
            without = if_any(" (less: {})", ", ".join(less))
            translations.append(f"; translated from {caller} to {endpoint}{without}")
        return f"{asked}: {'; '.join(answers) or 'none was answered'}{''.join(translations)}"


def account(
    events: Iterable[Event[Detail]], pin: Pin, fallbacks: Collection[Pin] = (), refused: int = 0
) -> Account:
    """Return the account of a run on `pin`. `fallbacks` may answer instead, as the user wrote; `refused`
    counts its requests for other models, which the gateway refused."""
    allowed = {str(pin), *map(str, fallbacks)}
    requests, answered, drift = set(), Counter[tuple[str, str, str]](), []
    attempts, translated = 0, dict[tuple[str, str], dict[str, None]]()
    for event in events:
        detail = event.detail
        if isinstance(detail, ModelDiffered):
            drift.append(
                f"'{detail.answered}' answered, and '{detail.chosen}' was chosen (request {event.request})"
            )
        if isinstance(detail, RefusedElsewhere):
            drift.append("it presented its token to another gateway, which refused it")
        if isinstance(detail, RequestTranslated):
            less = translated.setdefault((detail.caller, detail.endpoint), {})
            less.update(dict.fromkeys(filter(None, detail.less.split(","))))
        if not isinstance(detail, Attempted):
            continue
        host = detail.host
        attempts += 1
        requests.add(event.request)
        if event.pin not in allowed:
            drift.append(f"{event.pin} at {host} was used, and '{pin}' was chosen (request {event.request})")
        if detail.fault is None:
            answered[event.pin, host, detail.key or ""] += 1
    if refused:
        drift.append(
            f"it asked for another model than '{pin}', and was refused ({count(refused, 'request')})"
        )
    return Account(
        requests=len(requests),
        attempts=attempts,
        answered=tuple(answered.most_common()),
        drift=tuple(dict.fromkeys(drift)),
        translated=tuple((between, tuple(less)) for between, less in translated.items()),
    )


def require_pin(summary: Account, pin: Pin, session: str) -> None:
    """Raise ModelDropped when something else than the pin was used or asked for."""
    if summary.drift:
        raise ModelDropped(
            f"the program did not stay on '{pin}'",
            details=summary.drift[:5],
            next_step=f"holdfast why {session}",
        )
