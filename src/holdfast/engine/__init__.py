"""Between the core and the programs that use it: sessions, running requests, the journal, background work."""
