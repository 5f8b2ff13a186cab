"""A key that may be in the wrong place, and the sentences that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.identity import Endpoint, Key, Provider


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A key that would go to a host of `preset`, and does not begin as keys do that are made for it.

    `prefix` is how it begins, `usual` how the preset's keys do, as far as that is known. `owners` are the
    presets of one vendor whose keys begin like it: then it is certain that it is theirs. They are empty where
    keys of several vendors begin like that."""

    prefix: str
    preset: str
    host: str
    usual: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """Return what is wrong, as the end of a sentence about the key."""
        if self.owners:
            owners = " or ".join(f"'{owner}'" for owner in self.owners)
            return (
                f"it begins with {self.prefix} like a key of preset {owners}, "
                f"and {self.host} is the host of preset '{self.preset}'"
            )
        usual = " or ".join(self.usual)
        return (
            f"it begins with {self.prefix}, and the keys of preset '{self.preset}', "
            f"whose host is {self.host}, begin with {usual}"
        )

    def command(self, ref: str) -> str:
        """Return the command that gives the key, by its reference, to a provider that it fits."""
        key = ""
        if ref and not ref.startswith("store:"):
            key = f" --key {ref}"
        if not self.owners:
            command = f"holdfast provider add {self.preset} --preset {self.preset}{key}"
            return f"{command}   (if it is one of these nevertheless)"
        if len(self.owners) > 1:
            return f"holdfast provider add NAME --preset PRESET{key}"
        return f"holdfast provider add {self.owners[0]} --preset {self.owners[0]}{key}"


def places_of(provider: Provider, key: Key) -> tuple[Endpoint, ...]:
    """Return where a key of the provider may go: to its own endpoints if it has any, else to the
    provider's."""
    return key.endpoints or provider.endpoints
