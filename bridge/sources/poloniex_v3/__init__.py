"""Poloniex Futures v3: two sockets without resume, a book that is linked, and lists of trades, orders and fills."""
