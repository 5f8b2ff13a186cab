"""Measures several gateways on one PostgreSQL: what a new session and a request of a known one cost, and how
the number of gateways adds up."""
