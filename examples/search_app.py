"""A search page that expands a query and summarises its results, with a provider that it sets up for its
user.

It works without the models, says so on every page, and comes back by itself: nothing here obtains a key
unless somebody agreed (`holdfast provision amazee --accept`, or the button that calls `SearchApp.agree`), and
what is half done is completed beside the page.

    python examples/search_app.py "kelp in winter"
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import httpx2

import holdfast

_ANY_HOST = "http://holdfast.invalid/v1"
"""The session says where its requests go; of this URL only the path counts."""
ROLES = {"expand": ("*haiku*", "*mini*", "*flash*"), "summarise": ("*sonnet*", "gpt-*", "*pro*")}


@dataclass(frozen=True)
class Page:
    """What the user sees. `notice` says what is missing and what to run; empty when all is there."""

    terms: list[str]
    results: list[str]
    summary: str
    notice: str


class SearchApp:
    """One per process. `more` goes to `ensure_ready`: which service, and its address where it is not the
    usual one."""

    def __init__(
        self, hf: holdfast.Holdfast, corpus: list[str], provider: str = "amazee", **more: Any
    ) -> None:
        self.hf, self.corpus, self.provider, self.more = hf, corpus, provider, more

    def agree(self, who: str) -> None:
        """The button behind which the offer stands: what it makes, where, and what it costs. Raises
        NotReady."""
        self.hf.ensure_ready(self.provider, ROLES, consent=who, **self.more)

    def search(self, query: str) -> Page:
        """A page, always: with the models where they are there."""
        terms, lost = self._ask(
            "expand", f"Other words for this search, one a line, no more than five: {query}"
        )
        words = [query, *(line.strip("-• ") for line in terms.splitlines() if line.strip())]
        wanted = {part.lower() for word in words for part in word.split()}
        hits = [line for line in self.corpus if any(word in line.lower() for word in wanted)]
        summary = also_lost = ""
        if hits:
            summary, also_lost = self._ask("summarise", "Summarise in one sentence:\n" + "\n".join(hits))
        return Page(words, hits, summary, lost or also_lost)

    def _ask(self, role: str, prompt: str) -> tuple[str, str]:
        """What the role's model says; or nothing, and why. A model that was withdrawn is replaced once,
        within the same page."""
        notice = ""
        for _ in range(2):
            try:
                ready = self.hf.ensure_ready(self.provider, ROLES, patience=2.0, **self.more)
                session = self.hf.session(f"search-{role}", ready.pin(role))
            except holdfast.NotReady as missing:
                return "", f"The search works without its assistant: {missing.what} ({missing.next_step})"
            if not ready.own and session.pin != ready.pin(role):
                session.switch(ready.pin(role))
            with httpx2.Client(transport=session.transport(), base_url=_ANY_HOST, timeout=30) as client:
                answer = client.post(
                    "/chat/completions",
                    json={"model": session.model, "messages": [{"role": "user", "content": prompt}]},
                )
            if answer.is_success:
                return str(answer.json()["choices"][0]["message"]["content"]), ""
            notice = session.explain().partition("\n")[0]
            if answer.headers.get("holdfast-fault") not in ("model_unavailable", "not_entitled"):
                break
            self.hf.provisioning.jobs.settle()
        return "", f"The search works without its assistant: {notice}"


if __name__ == "__main__":
    with holdfast.open() as opened:
        page = SearchApp(
            opened, ["Kelp grows in cold water", "A holdfast is no root", "Winter storms tear kelp loose"]
        ).search(" ".join(sys.argv[1:]) or "kelp")
    print("\n".join([*page.results, "", page.summary or page.notice]))
