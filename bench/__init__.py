"""The benchmarks: the costs of Holdfast beside those of the programs that it builds on or competes with.

`python -m bench` runs them all.
"""
