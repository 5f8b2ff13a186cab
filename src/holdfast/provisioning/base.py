"""What a provisioner is, and what a runner is given to work with: shells of one kind know nothing of the
others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..core.faults import Fault, FaultClass, Reply
from ..core.identity import Auth, Endpoint, Key, ProviderName
from ..core.model_roles import Listing
from ..core.provisioning_state import Capability, Record
from ..core.secret import Secret, redact
from .model_lists import read_list


class Question(NamedTuple):
    """One request to a control plane. `key` is a reference; `body` becomes JSON."""

    endpoint: Endpoint
    method: str
    path: str
    body: object = None
    key: Key | None = None
    seconds: float = 15.0


class ProvisionedKey(NamedTuple):
    """What a mint gave: the URL that the key is for, and the key itself, or a reference to where it always
    is."""

    url: str
    secret: Secret | None
    ref: str = ""
    expires_at: float | None = None


class MalformedAnswer(ValueError):
    """An answer without what must be in it. The text says what is missing and quotes nothing of it."""


Ask = Callable[[Question], Reply]


@dataclass(frozen=True, slots=True)
class Tools:
    """`ask` sends one question once; `derive` makes of a name the same secret text each time, which only this
    home can; `fault` reads an answer."""

    ask: Ask
    derive: Callable[[str], str]
    fault: Callable[[Reply], Fault]

    def listing(self, question: Question) -> Listing:
        """Ask for a list of models, and read what came."""
        reply = self.ask(question)
        if reply.status == 200:
            return read_list(reply.status, reply.body)
        refused = self.fault(reply).kind in (FaultClass.AUTH_REJECTED, FaultClass.AUTH_EXPIRED)
        return read_list(reply.status, reply.body, self.told(reply), refused=refused)

    def told(self, reply: Reply) -> str:
        """An answer in words fit for a message and a record."""
        said = self.fault(reply).excerpt or redact(reply.body[:300].decode("utf-8", "replace"), limit=160)
        return f"HTTP {reply.status}: {said}" if reply.status is not None else said


class Provisioner(Protocol):
    """How one kind of provider gives keys. `window` is how long (seconds) it counts attempts, also refused
    ones."""

    @property
    def kind(self) -> str: ...
    @property
    def profile(self) -> str:
        """Its vocabulary of errors."""
        ...

    @property
    def capability(self) -> Capability: ...
    @property
    def window(self) -> float: ...

    def offer(self, record: Record) -> str:
        """What the user is asked to agree to, in one sentence: what is made, where, and what it may cost."""
        ...

    def mint(self, record: Record, tools: Tools) -> Question | ProvisionedKey:
        """The one request that makes the key of `record.intent`, or the key if none is needed. Raises
        HoldfastError."""
        ...

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:
        """What is in its answer. Raises Malformed, IdentityError for an address that no provider has."""
        ...

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:
        """After an unknown outcome: the key if it was made and can be had, else None, and then nothing of the
        intent is left there. Raises NotReady when that could not be found out."""
        ...

    def models(self, record: Record, tools: Tools) -> Listing:
        """Which models the key may use."""
        ...

    def revoke(self, record: Record, tools: Tools) -> bool:
        """Give the key back; whether the other side did."""
        ...

    def address(self, record: Record) -> Mapping[str, object]:
        """What holdfast.toml says of it besides its key and models."""
        ...


def key_of(record: Record) -> Key:
    """The key of a record, as a value."""
    return key_at(record.name, record.key)


def key_at(name: ProviderName, ref: str) -> Key:
    """The key behind a reference."""
    scheme, _, rest = ref.partition(":")
    return Key(name, rest if scheme == "store" else "admin", ref)


def endpoint(url: str, *, keyless: bool = False) -> Endpoint:
    """An endpoint to ask. Raises IdentityError."""
    return Endpoint(url, auth=Auth.NONE if keyless else Auth.BEARER)


def document_of(text: str | bytes) -> Any:
    """Return what an answer in JSON holds. Raises Malformed."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedAnswer("the answer is not JSON") from None


def text_of(document: Any, *path: str) -> str:
    """The text at a path of a JSON document. Raises Malformed."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    if not isinstance(document, str) or not document.strip():
        raise MalformedAnswer(f"the answer has no text at '{'.'.join(path)}'")
    return document


def secret_of(text: str) -> Secret:
    """A key that came in an answer. Raises Malformed."""
    try:
        return Secret(text)
    except ValueError:
        raise MalformedAnswer("the answer holds something that cannot be a key") from None
