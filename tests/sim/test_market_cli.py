"""``bridge sim VENUE`` for dialects: what it takes, and what it refuses at once."""

import socket

import pytest
import typer
from typer.testing import CliRunner

from bridge.cli.sim_market import command_of
from tests.sim.market_dialect import KIT


def told(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(command_of(KIT))
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "arguments, why",
    [
        (("--fault", "drop_rate=2"), "drop_rate"),
        (("--fault", "no_such=1"), "no_such"),
        (("--fault", "drop_rate"), "corrupt_rate"),
        (("--set", "no_such=1"), "no_such"),
        (("--set", "silence_s"), "NAME=VALUE"),
        (("--events-per-s", "-1"), "events-per-s"),
    ],
)
def test_what_cannot_be_is_refused_by_name(arguments: tuple[str, ...], why: str) -> None:
    code, output = told(*arguments)
    assert code == 2
    assert why in output


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, output = told(
            "--port", str(taken.getsockname()[1]), "--faults", "heavy", "--set", "silence_s=3", "--symbol", "ETH_USDT"
        )
    assert code == 1
    assert output.startswith("cannot listen: ")
