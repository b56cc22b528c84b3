"""Paper that is not flat, made flat by its own grid, and print that lies askew on it."""
