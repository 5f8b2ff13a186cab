"""Getting a key where there was none: the runner that persists each intent before it acts. Never asks for a second trial."""
