"""The values that join several connections: the keys of one provider, and the fallbacks of a pin."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import IdentityError
from .identity import Connection, Dialect, Key, Pin, Provider


@dataclass(frozen=True, slots=True)
class Route:
    """A connection and the spare keys of the same provider. No key of another provider can be in it."""

    connection: Connection
    spares: tuple[Key, ...] = ()
    connections: tuple[Connection, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        mine = {self.connection.key, *self.spares}
        keys = [key for key in self.connection.provider.keys if key in mine]
        spares = [self.connection.with_key(key) for key in keys if key != self.connection.key]
        if len(spares) != len(self.spares):
            raise IdentityError(f"a spare key of '{self.connection.pin}' is not a key of its provider")
        object.__setattr__(self, "connections", (self.connection, *spares))

    @classmethod
    def build(cls, provider: Provider, dialect: Dialect, model: str, only_key: str | None = None) -> Route:
        """Return the route of a provider: its first usable key, and the others as spares; with `only_key`,
        that key and no spare."""
        keys = provider.keys_for(dialect)
        if only_key is not None:  # a chosen key that cannot speak the dialect is refused by its connection
            keys = tuple(key for key in provider.keys if key.label == only_key)
        if only_key is not None and not keys:
            raise IdentityError(
                f"provider '{provider.name}' has no key '{only_key}'",
                next_step=f"holdfast key list {provider.name}",
            )
        if not keys or provider.takes_no_key(dialect):
            return cls(Connection(provider, dialect, None, model))
        return cls(Connection(provider, dialect, keys[0], model), keys[1:])


@dataclass(frozen=True, slots=True)
class FallbackChain:
    """The pins that the user listed to answer while `pin` cannot, in order, and for how long such a fallback
    answers (seconds). When that time is over, `pin` is asked in the background with `check`, else by the next
    request."""

    pin: Pin
    then: tuple[Pin, ...]
    return_after: float = 600.0
    check: bool = True

    def __post_init__(self) -> None:
        if self.pin in self.then or len(set(self.then)) != len(self.then):
            raise IdentityError(f"the fallbacks of '{self.pin}' name a pin twice, or '{self.pin}' itself")
        if not self.then or self.return_after <= 0:
            raise IdentityError(f"fallbacks of '{self.pin}' need one pin or more and a positive return_after")
