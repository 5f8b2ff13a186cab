"""What other programs know about providers, read for `holdfast import` and `holdfast heal`. Nothing of theirs
is changed but the rows that `heal --apply` mends; a key's value is wrapped where it is read and shown
nowhere."""

from __future__ import annotations
