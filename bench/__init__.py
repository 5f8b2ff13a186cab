"""The benchmarks: what Holdfast costs, measured side by side with what it stands on, in one run. `python -m
bench` runs them all."""
