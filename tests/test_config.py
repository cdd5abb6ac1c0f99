"""The configuration is a contract: its defaults, its limits, and that it tells no secret."""

import asyncio
import copy
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.clock import ManualClock
from bridge.config import Settings, database_url, load_settings
from bridge.config.alerts import Email, Slack
from bridge.config.settings import VENUES
from bridge.config.shapes import Retention
from bridge.core.errors import ConfigError
from bridge.wiring.markets import open_market
from tests.events import START

EXAMPLE = Path(__file__).parents[1] / "bridge.example.toml"
SIGNING_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRON = {"PB_API_KEY": "pb-api-key", "PB_WEBHOOK_SECRET": "0f1e2d3c4b5a", "LEDGER_SECRET": SIGNING_KEY}
EVERY_ENVIRON = {
    **dict.fromkeys(re.findall(r"\$\{(\w+)\}", EXAMPLE.read_text()), "any"),
    **ENVIRON,
    "SLACK_WEBHOOK_URL": "https://hooks.example/services/t0ken",
}

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def from_text(text: str, environ: Mapping[str, str] = ENVIRON) -> Settings:
        path = tmp_path / "bridge.toml"
        path.write_text(text)
        return load_settings(environ, config_path=path)

    return from_text


def source(more: str = "", *, tables: str = "") -> str:
    return f"""
    [sources.pb]
    venue = "playbatman"
    rest_url = "http://127.0.0.1:8084"
    ws_url = "ws://127.0.0.1:8084/ws"
    api_key = "${{PB_API_KEY}}"
    {more}
    {tables}
    """


def destination(more: str = "") -> str:
    return f"""
    [destinations.ledger]
    url = "https://ledger.example/hooks"
    secret = "${{LEDGER_SECRET}}"
    {more}
    """


def problems_of(load: Load, text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(text, environ)
    return list(refused.value.problems)


def test_the_example_is_complete_and_says_what_the_defaults_are(load: Load) -> None:
    settings = load_settings(ENVIRON, config_path=EXAMPLE)
    pb, ledger = settings.numbered["pb"], settings.destinations["ledger"]
    assert pb.webhook is not None
    assert [secret.get_secret_value() for secret in pb.webhook.secrets] == ["0f1e2d3c4b5a"]
    plain = load(source(tables='[sources.pb.webhook]\nsecret = "x"') + destination())
    assert pb.replay == plain.numbered["pb"].replay
    assert pb.ws == plain.numbered["pb"].ws
    bare = plain.numbered["pb"].webhook
    assert bare is not None
    assert pb.webhook.signature == bare.signature
    assert ledger.model_copy(update={"streams": ("*",), "url": ""}) == plain.destinations["ledger"].model_copy(
        update={"url": ""}
    )


def every_source(shown: str) -> str:
    """The example with its further sources, which stand directly behind the sign."""
    return re.sub(r"^#(?=[^ \n])", "", shown, flags=re.MULTILINE)


def test_the_examples_further_sources_are_one_of_each_venue_without_numbers(load: Load) -> None:
    settings = load(every_source(EXAMPLE.read_text()), EVERY_ENVIRON)
    venues = [source.venue for source in settings.followed.values()]
    assert sorted(venues) == sorted(set(VENUES) - {"playbatman"})
    for source in settings.followed.values():
        market = open_market(source, clock=ManualClock(START), jitter=lambda: 0.5)
        assert len(market.channels) == len(source.channels)
        quotas = {"public", "private"} if source.venue == "poloniex_v3" else {"rest"}
        assert market.budgets().keys() == quotas
        asyncio.run(market.close())
    assert not load_settings(ENVIRON, config_path=EXAMPLE).followed, "they are left out until somebody wants them"


def test_the_examples_comments_show_what_holds_without_them(load: Load) -> None:
    shown = every_source(EXAMPLE.read_text())
    bare = load(shown, EVERY_ENVIRON)
    uncommented = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and " = " in line else line for line in shown.splitlines()
    )
    # A table inline and the same table by dotted keys cannot stand side by side in TOML.
    merged = uncommented.replace("signature.timestamp_header", "#").replace("signature.tolerance_s", "#")
    assert load(merged, EVERY_ENVIRON).model_copy(update={"sources": {}}) == bare.model_copy(update={"sources": {}})
    for name, source in load(merged, EVERY_ENVIRON).sources.items():
        # The public address of a venue may be a consequence of other settings.
        left_out = {"ws_url"} & {field for field, value in bare.sources[name] if value is None}
        assert source.model_copy(update=dict.fromkeys(left_out)) == bare.sources[name]


def test_what_the_venue_leaves_unsaid_has_the_documented_default(load: Load) -> None:
    pb = load(source(tables='[sources.pb.webhook]\nsecret = "x"')).numbered["pb"]
    assert pb.webhook is not None
    assert (pb.ws.ping_interval_s, pb.ws.idle_timeout_s, pb.ws.close_unauthorized) == (25, 60, 4001)
    assert (pb.replay.page_max, pb.replay.overlap, pb.replay.overlap_s) == (1000, 200, 5)
    assert (pb.replay.settle_s, pb.replay.settle_max_s, pb.replay.grace_s) == (2, 60, 0.5)
    assert (pb.replay.start, pb.replay.retention_s, pb.replay.requests_per_s) == ("oldest", 86_400, 20)
    assert pb.webhook.body_bytes_max == 1024 * 1024
    assert pb.webhook.signature.tolerance_s == 300
    assert pb.webhook.envelope.sequence == ("sequence", "payload.sequence")
    assert (pb.correlation.ttl_s, pb.correlation.ts_tolerance_ms) == (900, 2000)


def test_nothing_configured_is_a_bridge_on_loopback_with_a_database_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert (settings.host, settings.port, settings.data) == ("127.0.0.1", 8000, Path(".bridge"))
    assert settings.database_url is None
    assert not settings.sources


def test_the_environment_names_the_file_port_token_and_folders(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(destination())
    settings = load_settings(
        ENVIRON
        | {
            "BRIDGE_CONFIG": str(path),
            "PORT": "8123",
            "HOST": "0.0.0.0",
            "BRIDGE_API_TOKEN": "token",
            "BRIDGE_DATA": "/srv/bridge",
            "BRIDGE_PG_BIN": "/usr/lib/postgresql/18/bin",
        }
    )
    assert (settings.host, settings.port) == ("0.0.0.0", 8123)
    assert settings.api_token is not None
    assert settings.api_token.get_secret_value() == "token"
    assert (settings.data, settings.pg_bin) == (Path("/srv/bridge"), Path("/usr/lib/postgresql/18/bin"))
    assert list(settings.destinations) == ["ledger"]


def test_an_environment_that_sets_a_variable_to_nothing_does_not_set_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({"DATABASE_URL": "", "PORT": " ", "BRIDGE_API_TOKEN": ""}) == load_settings({})


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"BRIDGE_CONFIG: .*absent\.toml cannot be read"):
        load_settings({"BRIDGE_CONFIG": str(tmp_path / "absent.toml")})


def test_all_problems_of_both_are_named_at_once_with_their_keys(load: Load) -> None:
    text = """
    [surces.pb]
    [sources.pb]
    venue = "playbatman"
    rest_url = "ftp://venue"
    colour = "red"
    [sources.pb.webhook]
    secret = ""
    [sources.pb.replay]
    settle_s = nan
    start = "yesterday"
    [sources."Bad Name"]
    venue = "nowhere"
    [destinations.ledger]
    url = "https://ledger.example"
    secret = ["whsec_AAAA", "plain"]
    [bridge]
    pool_max = 0
    """
    problems = problems_of(load, text, {"PORT": "eighty", "DATABASE_URL": "mysql://x/y"})
    assert [problem.split(": ")[0] for problem in problems] == [
        "DATABASE_URL",
        "PORT",
        "bridge.pool_max",
        "destinations.ledger.secret[0]",
        "destinations.ledger.secret[1]",
        "sources.Bad Name.venue",
        "sources.Bad Name",
        "sources.pb.api_key",
        "sources.pb.colour",
        "sources.pb.replay.settle_s",
        "sources.pb.replay.start",
        "sources.pb.rest_url",
        "sources.pb.webhook.secret",
        "surces",
    ]


def test_a_reference_to_a_variable_that_is_not_set_is_the_only_thing_said_of_its_key(load: Load) -> None:
    problems = problems_of(load, source() + destination(), {"PB_API_KEY": "x"})
    assert problems == ["destinations.ledger.secret: refers to ${LEDGER_SECRET}, which is not set in the environment"]


@pytest.mark.parametrize(
    "more, where",
    [
        ("[sources.pb.replay]\nsettle_s = 61", "sources.pb.replay"),
        ("[sources.pb.replay]\nsettle_max_s = 61", "sources.pb.replay.settle_max_s"),
        ("[sources.pb.replay]\noverlap = 1000", "sources.pb.replay"),
        ("[sources.pb.replay]\npage_max = 1001", "sources.pb.replay.page_max"),
        ("[sources.pb.replay]\nretention_h = 0.1", "sources.pb.replay"),
        ("[sources.pb.replay]\nstart = -1", "sources.pb.replay.start"),
        ("[sources.pb.ws]\nping_interval_s = 60", "sources.pb.ws"),
        ("[sources.pb.ws]\nbackoff_first_s = 31", "sources.pb.ws"),
        ('[sources.pb.webhook]\nsecret = "zz"\nsignature.key = "hex"', "sources.pb.webhook"),
        ('[sources.pb.webhook]\nsecret = "x"\nsignature.content = "{timestamp}"', "sources.pb.webhook.signature"),
        ("[bridge]\nbatch_events_max = 30000", "bridge"),
    ],
)
def test_limits_that_depend_on_each_other_are_checked_at_start(load: Load, more: str, where: str) -> None:
    assert [p.split(": ")[0] for p in problems_of(load, source(tables=more))] == [where]


@pytest.mark.parametrize("secret", ["whsec_AAAA", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 88])
def test_a_signing_key_is_base64_of_24_to_64_bytes(load: Load, secret: str) -> None:
    problems = problems_of(load, destination(), {"LEDGER_SECRET": secret})
    assert [problem.split(": ")[0] for problem in problems] == ["destinations.ledger.secret"]
    assert secret not in problems[0]


@pytest.mark.parametrize(
    "url, expected",
    [
        ("postgres://u:p%40ss@h:5432/d", "postgresql+asyncpg://u:p%40ss@h:5432/d"),
        ("postgresql://h/d?sslmode=require", "postgresql+asyncpg://h/d?ssl=require"),
        ("postgresql+asyncpg://u@/d?host=/run/pg", "postgresql+asyncpg://u@/d?host=/run/pg"),
        ("postgres://h/d?sslmode=verify-full&channel_binding=require", "postgresql+asyncpg://h/d?ssl=verify-full"),
    ],
)
def test_the_address_of_the_database_is_given_as_the_driver_takes_it(url: str, expected: str) -> None:
    assert database_url({"DATABASE_URL": url}) == expected


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@h/d", "postgres://u:hunter2@h:x/d", "postgres://u:hunter2@h", "hunter2"]
)
def test_an_address_that_is_none_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        database_url({"DATABASE_URL": url})
    assert "hunter2" not in str(refused.value)


def test_settings_cannot_be_changed(load: Load) -> None:
    settings = load(source())
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]  # the point of the test
    with pytest.raises(TypeError):
        settings.sources["other"] = settings.sources["pb"]  # type: ignore[index]  # the point of the test


SECRET = "QZXJKQZXJKVWQZ"
PLACES: list[tuple[str, ...]] = [
    ("sources", "pb", "api_key"),
    ("sources", "pb", "rest_url"),
    ("sources", "pb", "ws_url"),
    ("sources", "pb", "venue"),
    ("sources", "pb", "webhook"),
    ("sources", "pb", "webhook", "secret"),
    ("sources", "pb", "webhook", "signature", "key"),
    ("sources", "pb", "replay", "start"),
    ("sources", "pb", "replay", "every_s"),
    ("destinations", "ledger", "secret"),
    ("destinations", "ledger", "url"),
    ("destinations", "ledger", "timeout_s"),
    ("bridge", "pool_max"),
    ("bridge",),
]
WRAPPINGS = st.sampled_from(
    ["{}", "whsec_{}", "https://u:{}@h/", "https://h/{}", "ws://h/?key={}", "${{OTHER}}{}", "0{}", "{}\n"]
)


@example([(("destinations", "ledger", "url"), "https://h/{}", False)], "UNUSED")
@example([(("sources", "pb", "rest_url"), "https://h/{}", False)], "UNUSED")
@example([(("sources", "pb", "ws_url"), "ws://h/?key={}", False)], "DATABASE_URL")
@example([(("sources", "pb", "api_key"), "{}", False)], "BRIDGE_API_TOKEN")
@example([(("sources", "pb", "webhook", "secret"), "{}", True)], "DATABASE_URL")
@given(
    st.lists(st.tuples(st.sampled_from(PLACES), WRAPPINGS, st.booleans()), min_size=1, max_size=4),
    st.sampled_from(["DATABASE_URL", "PORT", "BRIDGE_API_TOKEN", "UNUSED"]),
)
def test_no_secret_is_told_wherever_it_was_put(
    tmp_path_factory: pytest.TempPathFactory,
    put: list[tuple[tuple[str, ...], str, bool]],
    variable: str,
) -> None:
    tables = copy.deepcopy(tomllib.loads(EXAMPLE.read_text()))
    for number, (place, _, by_list) in enumerate(put):
        value = "${" + f"S{number}" + "}"
        plant(tables, place, [value] if by_list else value)
    environ = ENVIRON | {f"S{n}": wrapping.format(SECRET) for n, (_, wrapping, _) in enumerate(put)}
    environ[variable] = f"postgres://u:{SECRET}@h/d" if variable == "DATABASE_URL" else SECRET
    path = tmp_path_factory.getbasetemp() / "secrets.toml"
    path.write_text("\n".join(lines_of(tables)))
    try:
        told = repr(load_settings(environ, config_path=path))
    except ConfigError as error:
        told = f"{error}{error!r}{error.__cause__}{error.__suppress_context__ or error.__context__}"
    assert SECRET not in told


def plant(tables: dict[str, Any], place: tuple[str, ...], value: object) -> None:
    for step in place[:-1]:
        if not isinstance(tables.get(step), dict):
            tables[step] = {}
        tables = tables[step]
    tables[place[-1]] = value


def lines_of(tables: dict[str, Any], at: tuple[str, ...] = ()) -> list[str]:
    """Dotted TOML for what the standard library can read but not write."""
    lines = []
    for key, value in tables.items():
        if isinstance(value, dict):
            lines += lines_of(value, (*at, key))
        else:
            lines.append(f"{'.'.join((*at, key))} = {str(value).lower() if isinstance(value, bool) else repr(value)}")
    return lines


@pytest.mark.parametrize("url", ["http://ledger.example/", "HTTP://127.0.0.1:9/"])
def test_plain_http_is_only_for_destinations_that_may_be_private(load: Load, url: str) -> None:
    given = f'[destinations.ledger]\nurl = "{url}"\nsecret = "${{LEDGER_SECRET}}"\n'
    problems = problems_of(load, given)
    assert problems == ["destinations.ledger.url: must start with https:// where allow_private is not set"]
    assert load(given + "allow_private = true\n").destinations["ledger"].allow_private


def test_how_long_things_are_kept_has_a_table_of_its_own(load: Load) -> None:
    assert load("").retention.keep_days == 30
    assert load("[retention]\nkeep_days = 90\nenabled = false\n").retention == Retention(keep_days=90, enabled=False)
    problems = problems_of(load, "[retention]\nkeep_days = 0.5\nkeep_hours = 1\n")
    assert [problem.split(": ")[0] for problem in problems] == ["retention.keep_days", "retention.keep_hours"]


CHANNELS = """
[alerts.channels.ops]
type = "slack"
url = "${SLACK}"
[alerts.channels.people]
type = "email"
host = "smtp.example"
username = "bridge"
password = "${PASSWORD}"
from = "bridge@example.com"
to = "ops@example.com"
"""
ALERTED = {"SLACK": "https://hooks.example/services/t0ken", "PASSWORD": "a-mail-passw0rd"}


def test_a_single_channel_is_all_that_alerts_need_and_none_of_their_secrets_is_told(load: Load) -> None:
    assert load("").alerts.enabled
    alerts = load(CHANNELS, ALERTED).alerts
    ops, people = alerts.channels["ops"], alerts.channels["people"]
    assert isinstance(ops, Slack)
    assert isinstance(people, Email)
    assert (ops.severity, ops.url.get_secret_value()) == ("warning", ALERTED["SLACK"])
    assert (people.port_used, people.tls, people.to) == (587, "starttls", ("ops@example.com",))
    for secret in ("t0ken", "passw0rd", "ops@example.com", "bridge@example.com"):
        assert secret not in repr(alerts)


def test_all_problems_of_alerts_are_named_at_once_and_tell_no_secret(load: Load) -> None:
    text = """
    [alerts]
    gap_warning_percent = 90
    off = ["gap_open", "unheard_of"]
    every_s = 0
    [alerts.silent_sources_s]
    nobody = 5
    [alerts.channels.log]
    type = "slack"
    url = "https://hooks.example/"
    [alerts.channels.a]
    type = "pigeon"
    [alerts.channels.b]
    type = "slack"
    url = "http://hooks.example/t0ken"
    [alerts.channels.c]
    type = "slack"
    url = "t0ken"
    severity = "dire"
    [alerts.channels.d]
    type = "email"
    host = "smtp.example"
    tls = "none"
    username = "x"
    password = "t0ken"
    from = "bridge@example.com"
    to = ["ops@example.com"]
    [alerts.channels.e]
    type = "email"
    host = "smtp.example\\r\\n"
    from = "bridge@example.com\\r\\nBcc: t0ken@example.com"
    to = []
    """
    problems = problems_of(load, text)
    assert [problem.split(": ")[0] for problem in problems] == [
        "alerts.channels.a.type",
        "alerts.channels.b",
        "alerts.channels.c.severity",
        "alerts.channels.c.url",
        "alerts.channels.d",
        "alerts.channels.e.from",
        "alerts.channels.e.host",
        "alerts.channels.e.to",
        "alerts.channels.log",
        "alerts.every_s",
        "alerts.off[1]",
        "alerts.silent_sources_s.nobody",
    ]
    assert "t0ken" not in str(problems)
    assert problems_of(load, "[alerts]\ngap_warning_percent = 90\n") == [
        "alerts: gap_warning_percent is larger than gap_critical_percent"
    ]
