"""The market, its history, its book and its account: what happened, and what can be asked about it."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from bridge.sim.market import Market, Shape
from bridge.sim.market.facts import (
    BalanceChange,
    BookChange,
    Fact,
    Fill,
    Instrument,
    Liquidation,
    OrderChange,
    PositionChange,
    Side,
    Trade,
)
from tests.sim.market_dialect import START, at

TWO = (
    Instrument(symbol="SOL_USDT", base="SOL", quote="USDT"),
    Instrument(symbol="ETH_USDT", base="ETH", quote="USDT", price=Decimal(4300), tick=Decimal("0.1")),
)


def market_with(happenings: int = 2_000, *, seed: int = 7, **shape: object) -> tuple[Market, list[Fact]]:
    """A market that lived for a happening each ten milliseconds, and all its facts."""
    market = Market(Shape(instruments=TWO, **shape), seed=seed)  # type: ignore[arg-type]  # tests give what fits
    facts = [fact for nth in range(happenings) for fact in market.emit(at(nth / 100))]
    return market, facts


def test_the_same_seed_is_the_same_market() -> None:
    assert market_with()[1] == market_with()[1]
    assert market_with()[1] != market_with(seed=8)[1]


def test_facts_are_counted_and_their_time_never_goes_back() -> None:
    market, facts = market_with()
    assert [fact.nth for fact in facts] == list(range(1, len(facts) + 1))
    market.emit(START)
    assert market.now == at(19.99)


def test_twins_are_equal_in_all_that_a_channel_without_ids_tells() -> None:
    _, facts = market_with()
    trades = [(f.symbol, f.at, f.price, f.quantity, f.side) for f in facts if isinstance(f, Trade)]
    gone = [(f.symbol, f.at, f.price, f.quantity, f.side) for f in facts if isinstance(f, Liquidation)]
    assert len(set(trades)) < len(trades)
    assert len(set(gone)) < len(gone)
    tokens = [f.token for f in facts if isinstance(f, Trade)]
    assert len(set(tokens)) == len(tokens)


def test_trades_are_numbered_densely_per_symbol() -> None:
    _, facts = market_with()
    for instrument in TWO:
        numbers = [f.number for f in facts if isinstance(f, Trade) and f.symbol == instrument.symbol]
        assert numbers == list(range(1, len(numbers) + 1))


def test_every_balance_and_position_begins_where_the_one_before_ended() -> None:
    _, facts = market_with()
    chains: dict[tuple[type, str], list[tuple[Decimal, Decimal]]] = {}
    for fact in facts:
        if isinstance(fact, BalanceChange | PositionChange):
            chains.setdefault((type(fact), fact.symbol), []).append((fact.old, fact.new))
    assert len(chains) == 5
    assert all(before[1] == after[0] for chain in chains.values() for before, after in pairwise(chain))


def test_the_fills_of_an_order_add_up_to_what_its_last_change_says() -> None:
    _, facts = market_with()
    filled: dict[str, Decimal] = {}
    for fact in facts:
        match fact:
            case Fill():
                filled[fact.order_id] = filled.get(fact.order_id, Decimal(0)) + fact.quantity
                assert fact.order_filled == filled[fact.order_id]
            case OrderChange():
                assert fact.filled == filled.get(fact.order_id, Decimal(0)) <= fact.quantity
    assert filled


@pytest.mark.parametrize("jump_max", [0, 3])
def test_replaying_the_steps_of_a_book_gives_its_snapshot(jump_max: int) -> None:
    market = Market(Shape(instruments=TWO, jump_max=jump_max), seed=3)
    before = market.book("SOL_USDT")
    sides = {Side.BUY: dict(before.bids), Side.SELL: dict(before.asks)}
    number, index = before.number, before.index
    for nth in range(2_000):
        for fact in market.emit(at(nth / 100)):
            if isinstance(fact, BookChange) and fact.symbol == "SOL_USDT":
                assert (fact.previous, fact.index) == (number, index + 1)
                numbers = [fact.previous, *(level.number for level in fact.levels)]
                assert numbers[-1] == fact.number
                assert all(a < b for a, b in pairwise(numbers))
                assert jump_max or numbers == list(range(fact.previous, fact.number + 1))
                number, index = fact.number, fact.index
                for level in fact.levels:
                    sides[level.side][level.price] = level.quantity
    after = market.book("SOL_USDT")
    assert (after.number, after.index) == (number, index)
    assert dict(after.bids) == {price: quantity for price, quantity in sides[Side.BUY].items() if quantity}
    assert dict(after.asks) == {price: quantity for price, quantity in sides[Side.SELL].items() if quantity}
    assert before.bids[0][0] != after.bids[0][0] < after.asks[0][0]
    assert market.book("SOL_USDT", depth=3).asks == after.asks[:3]


def test_history_is_asked_by_time_by_symbol_and_from_either_end() -> None:
    market, facts = market_with()
    trades = [fact for fact in facts if isinstance(fact, Trade)]
    since, until = at(3), at(6)
    within = [trade for trade in trades if since <= trade.at <= until]
    assert market.history.between(Trade, since, until) == within
    assert market.history.between(Trade, since, until, newest_first=True) == within[::-1]
    assert market.history.between(Trade, None, None, newest_first=True, limit=9) == trades[:-10:-1]
    exact = trades[40].at
    assert market.history.between(Trade, exact, exact) == [trade for trade in trades if trade.at == exact]
    only = [trade for trade in trades if trade.symbol == "ETH_USDT"]
    assert market.history.between(Trade, None, None, symbol="ETH_USDT", limit=5) == only[:5]
    assert market.history.between(Trade, None, None, symbol="NO_SUCH") == []


def test_the_steps_of_a_book_are_asked_by_number() -> None:
    market, facts = market_with(jump_max=2)
    steps = [fact for fact in facts if isinstance(fact, BookChange) and fact.symbol == "SOL_USDT"]
    first, last = steps[10].number, steps[20].previous + 1
    assert market.history.numbered("SOL_USDT", first, last) == steps[10:21]
    assert market.history.numbered("SOL_USDT", steps[10].previous + 1, steps[10].number) == steps[10:11]
    assert market.history.numbered("SOL_USDT", steps[-1].number + 1, steps[-1].number + 9) == []
    assert market.history.numbered("SOL_USDT", 1, steps[0].previous) == []
    assert market.history.numbered("NO_SUCH", 1, 2) == []


def test_the_state_of_orders_is_known_as_of_any_time() -> None:
    market, facts = market_with()
    as_of = at(10)
    expected: dict[str, OrderChange] = {}
    for fact in facts:
        if isinstance(fact, OrderChange) and fact.at <= as_of:
            expected[fact.order_id] = fact
    found = market.history.latest(OrderChange, as_of)
    assert {order.order_id: order for order in found} == expected
    assert any(order.status.final for order in found)


def test_what_is_old_is_forgotten_and_states_that_still_stand_are_not() -> None:
    market, facts = market_with(retention_s=5, kept_max=4)
    kept = market.history.between(Trade, None, None, symbol="SOL_USDT")
    assert 0 < len(kept) <= 4
    assert kept == [f for f in facts if isinstance(f, Trade) and f.symbol == "SOL_USDT"][-len(kept) :]
    wallets = {fact.wallet_id: fact for fact in facts if isinstance(fact, BalanceChange)}
    assert {one.wallet_id: one for one in market.history.latest(BalanceChange, market.now)} == wallets
    orders = {fact.order_id: fact for fact in facts if isinstance(fact, OrderChange)}
    standing = {key for key, order in orders.items() if not order.status.final}
    assert len(standing) > 2 * 4
    assert standing <= {one.order_id for one in market.history.latest(OrderChange, market.now)}


def test_a_market_that_is_asked_for_nothing_but_trades_does_nothing_else() -> None:
    _, facts = market_with(200, books=0, orders=0, ticks=0, liquidations=0, twin_rate=0)
    assert {type(fact) for fact in facts} == {Trade}
    assert len(facts) == 200
    assert market_with(5, trades=0, books=0, orders=0, ticks=0, liquidations=0)[1] == []


def test_a_market_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="instrument"):
        Shape(instruments=())
    with pytest.raises(ValueError, match="twin_rate"):
        Shape(instruments=TWO, twin_rate=2)


def test_a_step_of_time_makes_no_fact_by_itself() -> None:
    market, _ = market_with(0)
    assert market.emit(START + timedelta(seconds=1), 0) == []
    assert market.book("ETH_USDT").at == at(1)
