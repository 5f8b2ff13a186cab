"""Our own small calls to providers: model lists, checks, control planes, tokens. Each has a deadline."""
