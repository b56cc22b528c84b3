"""How well pages are read, and how often that is wrong without a warning."""
