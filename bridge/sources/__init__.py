"""Venues: how each one speaks. Never imports the store; venues never import each other."""
