"""A downstream that checks everything it is sent, and misbehaves when it is told to."""

from bridge.sim.consumer.behaviour import Behaviour, Mode
from bridge.sim.consumer.record import Delivery, Held, Record
from bridge.sim.consumer.server import Consumer, ConsumerConfig, serve

__all__ = ["Behaviour", "Consumer", "ConsumerConfig", "Delivery", "Held", "Mode", "Record", "serve"]
