"""The gateway beside its peers: the same machine, the same provider, the same load, in turn.

`python -m bench gateway` runs it.
"""
