"""The decisions: who answers, what a fault means, what to do next. No I/O, clock, randomness or third party.

Read it in this order:
who answers            identity, routes, config, known_hosts, routing, session, compatibility
what an answer means   faults, vocabulary, response_parser, retry_hints, classify
what is remembered     changes, health, retry_budget
what to do next        key_selection, recovery_policy, steps, request_state, request_flow
what to tell the user  explain, errors
setting up a provider  provisioning_state, model_roles

What decides nothing is in `values`: keys, addresses, times, texts."""
