"""Begin the part that is named, with the options that its file declares."""

import asyncio
import importlib
import sys

import msgspec
import uvloop


def main() -> None:
    name, options = sys.argv[1:]
    part = importlib.import_module(f"bench.parts.{name}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(part.run(msgspec.json.decode(options, type=part.Options)))


if __name__ == "__main__":
    main()
