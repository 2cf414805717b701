from dataclasses import replace
from typing import cast

import pytest

from toro_core.errors import StateConflict
from toro_core.search.paging import LIFETIME, InvalidPageToken, PageState, PageTokens
from toro_core.search.query import Parameter
from toro_core.search.trail import Place
from toro_core.storage import StateRecord, Storage

STATE = PageState(
    kind="search",
    type="Observation",
    parameters=(Parameter(code="patient", values=("1",)), Parameter(code="code", modifier="x", values=("a", "b"))),
    lenient=True,
    cursor=(2**63 - 1, "0190c3f8", None, -5),
    client="partner",
)
LONG = replace(STATE, parameters=(Parameter(code="_id", values=tuple(str(n) for n in range(2000))),))


class States:
    """The state records of a storage, in memory."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[bytes, int]] = {}
        self.ttls: dict[str, float | None] = {}

    async def get_state(self, key: str) -> StateRecord | None:
        found = self.records.get(key)
        return StateRecord(key=key, value=found[0], revision=found[1], expires_at=None) if found else None

    async def put_state(
        self, key: str, value: bytes, *, if_revision: int | None = None, ttl: float | None = None
    ) -> int:
        revision = self.records.get(key, (b"", 0))[1]
        if if_revision is not None and if_revision != revision:
            raise StateConflict
        self.records[key] = value, revision + 1
        self.ttls[key] = ttl
        return revision + 1


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def states() -> States:
    return States()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def tokens_over(states: States, clock: Clock) -> PageTokens:
    return PageTokens(cast(Storage, states), clock=clock)


@pytest.fixture
def tokens(states: States, clock: Clock) -> PageTokens:
    return tokens_over(states, clock)


async def test_a_token_opens_to_what_was_sealed(tokens: PageTokens) -> None:
    history = PageState(kind="history", type="Patient", id="7", cursor=(3,), client="partner")
    for state in (STATE, LONG, history):
        assert await tokens.open(await tokens.seal(state), "partner") == state


async def test_a_token_is_short_safe_in_a_url_and_says_nothing(tokens: PageTokens) -> None:
    token = await tokens.seal(STATE)
    assert len(token) < 200
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert token != await tokens.seal(STATE)


async def test_another_clients_token_is_refused(tokens: PageTokens) -> None:
    with pytest.raises(InvalidPageToken):
        await tokens.open(await tokens.seal(STATE), "other")


async def test_a_token_expires_after_a_day(tokens: PageTokens, clock: Clock) -> None:
    token = await tokens.seal(STATE)
    clock.now += LIFETIME - 1
    await tokens.open(token, "partner")
    clock.now += 1
    with pytest.raises(InvalidPageToken) as caught:
        await tokens.open(token, "partner")
    assert (caught.value.reason, caught.value.issues[0].code) == ("INVALID_PAGE_TOKEN", "value")


async def test_a_token_changed_anywhere_is_refused(tokens: PageTokens) -> None:
    token = await tokens.seal(STATE)
    for at, letter in enumerate(token[:-1]):
        changed = token[:at] + ("A" if letter != "A" else "B") + token[at + 1 :]
        with pytest.raises(InvalidPageToken):
            await tokens.open(changed, "partner")


@pytest.mark.parametrize(
    "token", ["", "x", "AQ", "AAAA" * 20, "é" * 50, "AQ" * 100_000, "../../etc/passwd", "AQ" + "\0" * 60]
)
async def test_a_forged_token_is_refused(token: str, tokens: PageTokens) -> None:
    await tokens.seal(STATE)
    with pytest.raises(InvalidPageToken):
        await tokens.open(token, "partner")


async def test_processes_of_one_storage_share_their_keys(states: States, clock: Clock) -> None:
    one, other = tokens_over(states, clock), tokens_over(states, clock)
    assert await other.open(await one.seal(STATE), "partner") == STATE
    assert await one.open(await other.seal(STATE), "partner") == STATE
    with pytest.raises(InvalidPageToken):
        await tokens_over(States(), clock).open(await one.seal(STATE), "partner")


async def test_two_processes_that_start_at_once_agree_on_one_key(states: States, clock: Clock) -> None:
    class Racing(States):
        """Lets another process make its key between our read and our write."""

        async def get_state(self, key: str) -> StateRecord | None:
            found = await super().get_state(key)
            if found is None:
                other = await tokens_over(states, clock).seal(STATE)
                self.records = states.records
                self.other = other
            return found

    racing = Racing()
    tokens = tokens_over(racing, clock)
    await tokens.seal(STATE)
    assert await tokens.open(racing.other, "partner") == STATE
    assert racing.records["paging/keys"][1] == 1


async def test_keys_rotate_and_old_tokens_stay_valid_for_their_day(states: States, clock: Clock) -> None:
    tokens = tokens_over(states, clock)
    await tokens.seal(STATE)
    clock.now += 7 * 24 * 3600 - 1
    old = await tokens.seal(STATE)
    clock.now += LIFETIME - 1
    new = await tokens.seal(STATE)
    assert old[:7] != new[:7]
    fresh = tokens_over(states, clock)
    assert await fresh.open(old, "partner") == STATE
    assert await fresh.open(new, "partner") == STATE


async def test_a_long_query_lies_in_a_state_record_for_a_day(tokens: PageTokens, states: States) -> None:
    token = await tokens.seal(LONG)
    await tokens.seal(replace(LONG, cursor=(7,)))
    (kept,) = (key for key in states.records if key != "paging/keys")
    assert len(token) < 4096
    assert states.ttls[kept] == LIFETIME
    del states.records[kept]
    with pytest.raises(InvalidPageToken):
        await tokens.open(token, "partner")


async def test_a_way_back_stays_short_and_ends_where_it_was_forgotten() -> None:
    place = Place()
    assert place.back() is None
    for number in range(500):
        place = place.onward((1_700_000_000_000_000 + number, number))
    tokens = PageTokens(cast(Storage, States()))
    token = await tokens.seal(
        PageState(kind="search", type="Patient", cursor=place.cursor, trail=place.trail, client="me")
    )
    assert len(token) < 2000
    state = await tokens.open(token, "me")
    assert (state.cursor, state.trail) == (place.cursor, place.trail)
    steps = []
    back = place.back()
    while back is not None:
        steps.append(back.cursor[-1])
        back = back.back()
    assert steps == list(range(498, 498 - len(steps), -1))
    assert 40 < len(steps) < 100


def test_a_position_too_long_to_be_kept_ends_the_way_back() -> None:
    long = Place().onward(("a",)).onward(("x" * 100_000,))
    assert long.back() is not None
    after = long.onward(("b",))
    assert (after.cursor, after.back()) == (("b",), None)


def test_a_short_walk_leads_back_to_where_it_began() -> None:
    third = Place().onward(("a",)).onward(("b",))
    second = third.back()
    assert second == Place().onward(("a",))
    assert second is not None
    assert second.back() == Place()
