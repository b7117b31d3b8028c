"""A run's folder: its files by name, its network, what was measured of it."""
