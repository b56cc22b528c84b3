"""Federated against centralized training on pages of PTB-XL: `python -m benchmarks.federation`."""
