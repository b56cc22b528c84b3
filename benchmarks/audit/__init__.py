"""The audit of the deployed path in its long form."""
