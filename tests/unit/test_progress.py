"""When a partition is stuck: records all the time, and no move."""

from hypothesis import given
from hypothesis import strategies as st

from domain.progress import Standing, Watch

LIMIT = 90.0
AT = "orders[0]"


def looked(*looks: tuple[float, int, int], pause: float = float("inf")) -> Watch[str]:
    """Looks at one partition: when, its end, its position."""
    watch: Watch[str] = Watch()
    for now, end, position in looks:
        watch = watch.look({AT: Standing(end, position)}, now, pause)
    return watch


def test_records_and_no_move_for_the_limit_is_stuck() -> None:
    watch = looked((0, 10, 4), (45, 12, 4), (90, 15, 4))
    assert set(watch.stuck(90, LIMIT)) == {AT}
    assert watch.stuck(90, LIMIT)[AT] == (4, 0)
    assert watch.stuck(89.9, LIMIT) == {}


def test_the_clock_starts_with_the_first_record_and_not_with_the_last_move() -> None:
    watch = looked((0, 4, 4), (1000, 5, 4))
    assert watch.stuck(1000, LIMIT) == {}
    assert watch.stuck(1090, LIMIT) != {}


def test_a_move_starts_it_anew_however_small() -> None:
    assert looked((0, 10, 4), (89, 10, 5), (100, 10, 5)).stuck(100, LIMIT) == {}


def test_no_records_for_a_moment_starts_it_anew() -> None:
    assert looked((0, 10, 4), (50, 4, 4), (60, 10, 4)).stuck(100, LIMIT) == {}


def test_a_partition_that_was_not_seen_starts_anew() -> None:
    watch = looked((0, 10, 4)).look({}, 50).look({AT: Standing(10, 4)}, 60)
    assert watch.stuck(100, LIMIT) == {}


def test_after_a_pause_nobody_is_blamed() -> None:
    looks = (0.0, 10, 4), (5.0, 10, 4), (3600.0, 10, 4)
    assert looked(*looks, pause=30).stuck(3600, LIMIT) == {}
    assert looked(*looks).stuck(3600, LIMIT) != {}


def test_one_partition_is_not_excused_by_another() -> None:
    watch: Watch[str] = Watch()
    for now in (0, 50, 100):
        watch = watch.look({"moves": Standing(1000, now), "stands": Standing(9, 0)}, now)
    assert set(watch.stuck(100, LIMIT)) == {"stands"}


looks = st.lists(
    st.tuples(st.floats(0.01, 60), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40
)


@given(looks)
def test_stuck_is_what_a_whole_history_says(steps: list[tuple[float, int, int]]) -> None:
    """Against the plain definition: over a run of looks with lag and one position, long enough."""
    now, position = 0.0, 0
    history: list[tuple[float, int, int]] = []
    for pause, ahead, moves in steps:
        now, position = now + pause, position + (moves == 3)
        history.append((now, position + ahead // 2, position))
    run: list[float] = []
    for at, end, where in reversed(history):
        if end <= where or where != position:
            break
        run.append(at)
    wanted = bool(run) and now - run[-1] >= LIMIT
    assert bool(looked(*history).stuck(now, LIMIT)) == wanted


@given(looks, st.floats(0, 200))
def test_a_longer_limit_never_finds_more(steps: list[tuple[float, int, int]], more: float) -> None:
    now, history = 0.0, []
    for pause, end, position in steps:
        now += pause
        history.append((now, end, position))
    watch = looked(*history)
    assert set(watch.stuck(now, LIMIT + more)) <= set(watch.stuck(now, LIMIT))
