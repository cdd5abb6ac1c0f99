"""Measurements: one file per question it answers. All in real processes, on a Postgres that really writes."""
