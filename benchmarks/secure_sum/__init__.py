"""Secure sums side by side: `python -m benchmarks.secure_sum`."""
