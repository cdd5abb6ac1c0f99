"""Cryptomus: an exchange with one-time tokens and second stamps, and the payment webhooks of its merchants."""
