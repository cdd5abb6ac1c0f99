"""Outgoing requests: one small port, and behind it a client that does nothing but post."""

from bridge.egress.addresses import is_public
from bridge.egress.client import HttpEgress, tls_context
from bridge.egress.port import Egress
from bridge.egress.reply import EXCERPT_BYTES_MAX, RESPONSE_BYTES_MAX

__all__ = ["EXCERPT_BYTES_MAX", "RESPONSE_BYTES_MAX", "Egress", "HttpEgress", "is_public", "tls_context"]
