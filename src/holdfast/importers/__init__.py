"""Readers of other programs' providers and sessions, for `holdfast import` and `holdfast heal`. Their files
are not changed, except the rows that `heal --apply` repairs. A key's value is a `Secret` from the moment it
is read, and is never shown."""

from __future__ import annotations
