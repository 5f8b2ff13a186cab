"""Our own small calls to providers: model lists, checks, tokens; each with a deadline."""
