"""What patient-level privacy costs in Dice, on pages of PTB-XL: `python -m benchmarks.private_learning`."""
