"""Poloniex Futures v1/v2, and whoever else speaks the dialect of KuCoin Futures."""
