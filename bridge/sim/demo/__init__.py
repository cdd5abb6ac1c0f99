"""The main job on real parts, as real processes on loopback, for people to watch and for machines to check."""

from bridge.sim.demo.course import Ended, run
from bridge.sim.demo.look import Look
from bridge.sim.demo.plain import PlainLines
from bridge.sim.demo.result import result_line
from bridge.sim.demo.scenario import Scenario

__all__ = ["Ended", "Look", "PlainLines", "Scenario", "result_line", "run"]
