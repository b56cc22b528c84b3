"""Poisoned sites, and the rules that stand them: `python -m benchmarks.poisoning`."""
