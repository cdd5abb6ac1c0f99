"""The event in a payment's callback. Pure. Payments have keys of their own, apart from those of the exchange.

A callback has no number and no time: it is known by the payment, the state it tells, and the transaction.
"""

import msgspec

from bridge.core.body_signature import cut_member
from bridge.core.event import Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.cryptomus.fields import UNREADABLE, payload_of, text_of


class _Callback(msgspec.Struct):
    uuid: str
    status: str
    txid: str | None = None


_callback = msgspec.json.Decoder(_Callback).decode


class PaymentReader:
    """Reads verified bodies. ``member`` holds the signature, which is no part of what is told."""

    def __init__(self, member: str = "sign") -> None:
        self._member = member

    def parse_webhook(self, body: bytes, delivery_id: str | None) -> Event:
        """The event in ``body``: its type is the payment's state, its key the payment. Raises Malformed.

        The payload is what was signed. Signed again, with a key that came after, it is still the same.
        """
        payload_of(body)
        try:
            said = _callback(body)
        except UNREADABLE:
            raise Malformed("no callback of a payment") from None
        payment, status = text_of(said.uuid, "the payment"), text_of(said.status, "the state")
        transaction = text_of(said.txid, "the transaction") if said.txid else ""
        event_id = f"{payment}:{status}:{transaction}"
        cut = cut_member(body, self._member)
        payload = body if cut is None else cut.rest
        return Event(event_id, status, payment, payload, digest_of(payload), None, None)
