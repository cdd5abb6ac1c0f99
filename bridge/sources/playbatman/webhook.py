"""The event in a webhook's body. Pure, and the receiver's hot path: decoders are built once."""

import hashlib

from bridge.core.event import Event, digest_of
from bridge.sources.base import Malformed
from bridge.sources.playbatman.envelope import EnvelopeNames, EnvelopeReader, Inner
from bridge.sources.playbatman.fields import payload_of, sequence_of, text_of, time_of


class WebhookReader:
    """Reads verified bodies of one source."""

    def __init__(self, names: EnvelopeNames | None = None) -> None:
        self._reader = EnvelopeReader(names or EnvelopeNames())

    def event(self, body: bytes, delivery_id: str | None) -> Event:
        """The event in ``body``; ``sequence`` is None where the delivery carries none, or no payload to it.

        A delivery that names neither its event nor its number goes by ``delivery_id``, else by its own digest.
        Raises Malformed when the body is no JSON object, or a field of it holds what it must not.
        """
        fields = self._reader.read(body)
        payload = fields.payload
        sequence = sequence_of(fields.sequence)
        key = text_of(fields.key, "the market")
        occurred_at = time_of(fields.created)
        if payload is None:
            # What arrived is kept whole: the number of an event without its content proves nothing.
            sequence, payload = None, payload_of(body)
        elif sequence is None or not key:
            inner = self._reader.inner(payload)
            sequence = sequence_of(inner.sequence) if sequence is None else sequence
            key = key or _key_of(inner)
        event_id = text_of(fields.id, "the id")
        if not event_id and sequence is None:
            event_id = _delivery_text(delivery_id) or f"sha256:{hashlib.sha256(body).hexdigest()}"
        return Event(
            event_id, text_of(fields.type, "the type"), key, payload, digest_of(payload), sequence, occurred_at
        )


def _key_of(inner: Inner) -> str:
    """The market inside the payload; there it is content, so one that is no bounded text is only not used."""
    try:
        return text_of(inner.key, "the market")
    except Malformed:
        return ""


def _delivery_text(delivery_id: str | None) -> str:
    try:
        return text_of(delivery_id, "the delivery's id")
    except Malformed:
        return ""
