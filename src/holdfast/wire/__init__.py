"""Connections on the wire: transports for httpx2 and httpx that obey the core's steps. Never decides what a
status means."""
