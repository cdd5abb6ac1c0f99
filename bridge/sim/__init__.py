"""Venues that lie on purpose, and a consumer that checks: for the demo, the tests and the bench."""
