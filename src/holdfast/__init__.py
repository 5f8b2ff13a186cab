"""Holdfast keeps a session on the provider, endpoint, key and model that its user chose."""
