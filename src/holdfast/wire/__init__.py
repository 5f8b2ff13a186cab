"""Messages without sockets: what leaves for a provider and what came back. Never decides what a status
means."""
