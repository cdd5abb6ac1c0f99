"""Bybit V5: topics on a public and a private socket, and REST lists of what happened; nothing is numbered for us."""
