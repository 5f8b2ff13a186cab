"""The interface of a provisioner, and the tools that its methods get. No kind of provisioner knows the
others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from ..core.errors import NotReady
from ..core.faults import Fault, FaultClass, Phase, Reply
from ..core.identity import Auth, Endpoint, Key, ProviderName
from ..core.model_roles import Listing
from ..core.provisioning_state import Capability, Record
from ..values.secret import Secret, redact
from .model_lists import read_list

_DOUBTFUL = frozenset({408, 409, 425})
"""Refusals after which a key may exist all the same."""


class Question(NamedTuple):
    """A request to a control plane. `key` is a reference; `body` becomes JSON."""

    endpoint: Endpoint
    method: str
    path: str
    body: object = None
    key: Key | None = None
    seconds: float = 15.0


class ProvisionedKey(NamedTuple):
    """A key that was obtained, and the URL that it is for: the key itself, or a reference to it. `expires_at`
    is in epoch seconds."""

    url: str
    secret: Secret | None
    ref: str = ""
    expires_at: float | None = None


class Minted(StrEnum):
    """The meaning of an answer to a mint: a key was made, none was, or the answer does not say."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Fate(StrEnum):
    """Name what became of the key of a retired record; it is the record's reason."""

    GIVEN_BACK = "given_back"
    NOT_KNOWN = "not_known_there"
    ONLY_HERE = "only_here"
    UNKNOWN = "unknown"
    NO_KEY = "no_key"


class MalformedAnswer(ValueError):
    """A response without what must be in it. The text says what is missing and quotes nothing."""


Ask = Callable[[Question], Reply]
"""Sends one request once and returns the response, also where none came."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of a provisioner. `ask` sends a request once; `derive` returns the same secret text for a
    name each time, different for each home; `fault` classifies a response; `digest` returns the SHA-256 of a
    key (64 hex digits), "" where it cannot be read here."""

    ask: Ask
    derive: Callable[[str], str]
    fault: Callable[[Reply], Fault]
    digest: Callable[[Key], str] = lambda _key: ""

    def listing(self, question: Question) -> Listing:
        """Request a list of models and read it. Never raises."""
        reply = self.ask(question)
        if reply.status == 200:
            return read_list(reply.status, reply.body)
        refused = self.fault(reply).kind in (FaultClass.AUTH_REJECTED, FaultClass.AUTH_EXPIRED)
        return read_list(reply.status, reply.body, self.summary(reply), refused=refused)

    def summary(self, reply: Reply) -> str:
        """Return the status and the message of a response, redacted: for a message or a record."""
        text = self.fault(reply).excerpt or redact(reply.body[:300].decode("utf-8", "replace"), limit=160)
        if reply.status is None:
            return text
        return f"HTTP {reply.status}: {text}"


class Provisioner(Protocol):
    """A kind of provider that gives keys. `window` is the time (seconds) for which it counts attempts, also
    refused ones."""

    @property
    def kind(self) -> str: ...
    @property
    def profile(self) -> str:
        """The name of its vocabulary of errors."""
        ...

    @property
    def capability(self) -> Capability: ...
    @property
    def window(self) -> float: ...

    def offer(self, record: Record) -> str:
        """Return what the user is asked to agree to, in one sentence: what is made, where, and its cost."""
        ...

    def mint(self, record: Record, tools: Tools) -> Question | ProvisionedKey:
        """Return the one request that makes the key of `record.intent`, or the key if no request is needed.
        Raises HoldfastError."""
        ...

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:
        """Return the key in the response to `mint`. Raises MalformedAnswer, and IdentityError for an address
        that no provider can have."""
        ...

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:
        """After an unknown outcome, return the key if it was made and can be had. Else return None; nothing
        of the intent exists there then. Raises NotReady when neither is certain."""
        ...

    def models(self, record: Record, tools: Tools) -> Listing:
        """Return the models that the key may use."""
        ...

    def revoke(self, record: Record, tools: Tools) -> Fate:
        """Delete the record's key at the service, and what the intent may have made beside it. Return what
        the service said. Raises NotReady when it did not say."""
        ...

    def derived(self, record: Record, tools: Tools) -> Secret | None:
        """Return the key that the intent made, where it can be computed again; None elsewhere."""
        ...

    def address(self, record: Record) -> Mapping[str, object]:
        """Return the fields of its entry in holdfast.toml besides keys and models."""
        ...


def minted(reply: Reply) -> Minted:
    """Return what an answer to a mint says about the key. A request that was never sent made none."""
    if reply.status is None and reply.phase is Phase.CONNECT:
        return Minted.NO
    if reply.status is None:
        return Minted.UNKNOWN
    if 200 <= reply.status < 300:
        return Minted.YES
    if 400 <= reply.status < 500 and reply.status not in _DOUBTFUL:
        return Minted.NO
    return Minted.UNKNOWN


def digest_in_hand(record: Record, tools: Tools) -> str:
    """Return the digest of the record's key, "" for the intent's own whose value is not here. Raises NotReady
    for another one: nothing else names it."""
    if not record.key:
        return ""
    digest = tools.digest(key_of(record))
    if not digest and not is_of_intent(record):
        raise not_given_back(record, "its value is not on this machine")
    return digest


def not_given_back(record: Record, why: str) -> NotReady:
    """Return the error for a key of which it is unknown whether the service still accepts it."""
    return NotReady(
        f"the key of '{record.name}' was not given back, and nothing was changed here: {why}",
        reason="not_given_back",
        next_step=f"holdfast provision retire {record.name} --only-here   "
        "(deletes it only here; without that option the service is asked again)",
    )


def key_of(record: Record) -> Key:
    """Return the key of a record."""
    return key_at(record.name, record.key)


def label_of(record: Record) -> str:
    """Return the label under which the key of the record's intent is stored."""
    return f"{record.kind}-{record.epoch}-{record.intent[:6]}"


def is_of_intent(record: Record) -> bool:
    """Return whether the record's key is the one that its intent made, not one that was adopted."""
    return bool(record.intent) and record.key == f"store:{label_of(record)}"


_NUMBER, _CHECK = 16, 8
"""Digits of an intent: a random number, then two checks. Those of older versions have the number alone."""


def new_intent(number: str, record: Record, tools: Tools) -> str:
    """Return the name of a new intent: a random number (16 digits), digits by which a home with this pepper
    knows it, and digits by which the provider with this address knows it."""
    scope = f"{record.name} {record.kind} {record.settings.get('url', '')}"
    return f"{number}{_pepper_check(number, tools)}{tools.derive(f'scope {number} {scope}')[:_CHECK]}"


def is_intent_of(record: Record, intent: str, tools: Tools) -> bool:
    """Return whether an intent was made here, for this provider at this address."""
    return intent == new_intent(intent[:_NUMBER], record, tools)


def made_here(record: Record, tools: Tools) -> bool:
    """Return whether the record's intent was made with this home's pepper, so that what is derived from it
    is the same; True for one that does not show it."""
    return len(record.intent) == _NUMBER or surely_made_here(record, tools)


def surely_made_here(record: Record, tools: Tools) -> bool:
    """Return whether the record's intent shows that it was made with this home's pepper."""
    number, check = record.intent[:_NUMBER], record.intent[_NUMBER : _NUMBER + _CHECK]
    return check == _pepper_check(number, tools)


def _pepper_check(number: str, tools: Tools) -> str:
    return tools.derive(f"intent {number}")[:_CHECK]


def key_at(name: ProviderName, ref: str) -> Key:
    """Return the key behind a reference."""
    scheme, _, label = ref.partition(":")
    if scheme != "store":
        label = "admin"
    return Key(name, label, ref)


def endpoint(url: str, *, keyless: bool = False) -> Endpoint:
    """Return the endpoint at a URL. Raises IdentityError."""
    auth = Auth.BEARER
    if keyless:
        auth = Auth.NONE
    return Endpoint(url, auth=auth)


def document_of(text: str | bytes) -> Any:
    """Parse a JSON response. Raises MalformedAnswer."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedAnswer("the response is not JSON") from None


def text_of(document: Any, *path: str) -> str:
    """Return the text at a path of a JSON document. Raises MalformedAnswer."""
    for name in path:
        if not isinstance(document, dict):
            document = None
            break
        document = document.get(name)
    if not isinstance(document, str) or not document.strip():
        raise MalformedAnswer(f"the response has no text at '{'.'.join(path)}'")
    return document


def secret_of(text: str) -> Secret:
    """Return a key from a response. Raises MalformedAnswer."""
    try:
        return Secret(text)
    except ValueError:
        raise MalformedAnswer("the response has a value that cannot be a key") from None
