"""A diagnosis from recordings: federated, secure, private, centralized; and from recordings read from pages."""
