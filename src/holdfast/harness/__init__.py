"""Agent programs we can hand a connection to: one file per harness, each a pure plan. Never runs a harness by itself."""
