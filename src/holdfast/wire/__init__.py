"""Messages without sockets: requests as they are sent to a provider, and its answers. Never decides what a
status means."""
