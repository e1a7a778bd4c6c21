"""Skipping a head in a worker's place: under a claim, behind the fence, whatever is killed in between."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection
from redis import Redis

from tests.acceptance import stamps
from tests.acceptance.onelane import until
from worker.acknowledge import Settled, acknowledge
from worker.batch import apply
from worker.claim import Claim, Claimer
from worker.client import Client
from worker.database import connect
from worker.entry import Entry, dead
from worker.intervention import Interventions
from worker.lane import Keys
from worker.lane_book import LaneBook, UnknownLane
from worker.script import run
from worker.settings import Settings
from worker.skip import LaneBusy, Skipper
from worker.verdict import Failure, Fault

LANE = "page:p"
LEASE_MS = 100


@pytest.fixture
def settings(redis_url: str, database_url: str, prefix: str, tmp_path: Path) -> Settings:
    """A partition and a database of this test's own; leases are short."""
    stamps.make_tables(database_url)
    return Settings(
        redis_url=redis_url, database_url=database_url, prefix=prefix, data_dir=tmp_path, lease_ms=LEASE_MS, linger_ms=1
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """A client with three jobs on one lane."""
    client = Client(settings)
    for text in ("a", "b", "c"):
        client.enqueue(stamps.Stamp(page="p", text=text), actor="U1", id=text)
    yield client
    client.redis.close()


@pytest.fixture
def book(client: Client) -> LaneBook:
    """The partition's book."""
    return LaneBook(client.redis, client.keys)


@pytest.fixture
def database(settings: Settings) -> Iterator[Connection]:
    """A connection as a worker has it."""
    with connect(settings) as connection:
        yield connection


@pytest.fixture
def skipper(client: Client, database: Connection) -> Skipper:
    """Somebody who skips."""
    return Skipper(client.redis, database, client.settings, "U0ADMIN")


def claim(client: Client, name: str) -> Claim:
    """What a drain of this name claims, as soon as there is something."""
    claimer = Claimer(client.redis, client.keys, client.settings, name)
    return until(lambda: found if isinstance(found := claimer.claim(), Claim) else None, "a claim")


def work(client: Client, database: Connection, claimed: Claim, worker: str) -> list[tuple[str, str, bool]]:
    """Apply and acknowledge a claim of the one lane, as a drain does: id, status and `repeated` of each job."""
    entries = [Entry.read(LANE, raw, 1, 0) for raw in claimed.lanes[0].jobs]
    pairs = apply(database, claimed.token, worker, {LANE: entries}).ends.get(LANE, [])
    acknowledge(client.redis, client.keys, client.settings, claimed.token, [Settled(LANE, pairs)])
    return [(entry.envelope.id, end.status, end.repeated) for entry, end in pairs]


def ledger(database: Connection) -> list[tuple[str, str, str]]:
    """Id, status and code of all jobs that have ended, in their order."""
    rows = database.execute("SELECT job_id, status, code FROM onelane.ledger ORDER BY seq").fetchall()
    return [(job_id, status, code) for job_id, status, code in rows]


def test_the_head_becomes_a_dead_letter_with_its_bytes_and_the_reason(
    client: Client, book: LaneBook, skipper: Skipper, database: Connection
) -> None:
    raw = book.jobs(LANE, 1)[0]
    entry, end = skipper.skip(LANE, "it can't work", 1)
    assert (entry.envelope.id, end.status, end.code, end.repeated) == ("a", "dead", "skipped", False)
    assert [Entry.read(LANE, job, 1, 0).envelope.id for job in book.jobs(LANE, 9)] == ["b", "c"]
    row = database.execute("SELECT body, error, worker, code FROM onelane.ledger").fetchone()
    assert row == (raw, "skipped by U0ADMIN: it can't work", "U0ADMIN", "skipped")
    assert (book.lane(LANE).state, client.wait("a", 1).code) == ("ready", "skipped")
    assert work(client, database, claim(client, "w"), "w") == [("b", "applied", False), ("c", "applied", False)]


def test_a_skip_leaves_no_connection_behind(client: Client, skipper: Skipper) -> None:
    def connections() -> set[str]:
        return {each["id"] for each in client.redis.client_list()}

    before = connections()
    skipper.skip(LANE, "why", 1)
    assert connections() <= before


def test_a_lane_that_was_held_or_parked_is_so_again_or_goes_on_with_its_next_job(
    client: Client, book: LaneBook, skipper: Skipper
) -> None:
    claimed = claim(client, "w")
    run(client.redis, client.keys, "park", LANE, claimed.token, 3_600_000_000, "3 1700000000000000", 0, lane=LANE)
    assert (book.lane(LANE).state, book.lane(LANE).attempts) == ("parked", 3)
    entry, _ = skipper.skip(LANE, "why", 1)
    assert (entry.envelope.id, entry.attempts, entry.first_attempt) == ("a", 3, 1_700_000_000_000_000)
    assert (book.lane(LANE).state, book.lane(LANE).attempts) == ("ready", 0)

    Interventions(client.redis, client.settings, "U0ADMIN").hold(LANE, "look", 3600)
    held = book.lane(LANE)
    assert skipper.skip(LANE, "why", 1)[0].envelope.id == "b"
    assert (book.lane(LANE).state, book.lane(LANE).due, book.lane(LANE).hold) == ("held", held.due, held.hold)


def test_the_last_job_leaves_no_lane_behind(client: Client, book: LaneBook, skipper: Skipper) -> None:
    assert [skipper.skip(LANE, "why", 1)[0].envelope.id for _ in range(3)] == ["a", "b", "c"]
    for look in (lambda: book.lane(LANE), lambda: skipper.skip(LANE, "why", 1)):
        with pytest.raises(UnknownLane, match="No job waits in a lane 'page:p'"):
            look()
    assert client.redis.hlen(client.keys.named("pending")) == 0


def test_a_worker_is_waited_for(client: Client, database: Connection, skipper: Skipper, settings: Settings) -> None:
    client.settings = settings.model_copy(update={"lease_ms": 60_000})
    claimed = claim(client, "w")
    with pytest.raises(LaneBusy, match="hold it first"):
        skipper.skip(LANE, "why", 0.1)
    late = threading.Timer(0.2, lambda: work(client, database, claimed, "w"))
    late.start()
    with connect(settings) as own, pytest.raises(UnknownLane):  # the worker does all three
        Skipper(client.redis, own, settings, "U0ADMIN").skip(LANE, "why", 10)
    late.join()
    assert [status for _, status, _ in ledger(database)] == ["applied"] * 3


def test_a_worker_that_was_paused_for_longer_than_its_lease_is_shut_out(
    client: Client, database: Connection, skipper: Skipper, book: LaneBook
) -> None:
    paused = claim(client, "w")
    assert skipper.skip(LANE, "why", 5)[0].envelope.id == "a"  # once the lease is over
    assert work(client, database, paused, "w") == []
    assert ledger(database) == [("a", "dead", "skipped")]
    assert (book.lane(LANE).state, book.lane(LANE).jobs) == ("ready", 2)


def test_whoever_is_killed_between_the_commit_and_the_acknowledgement_has_skipped(
    client: Client, database: Connection
) -> None:
    _, _, token, *_ = run(client.redis, client.keys, "take", LANE, LEASE_MS * 1000, grant="killed")
    head = Entry.read(LANE, client.redis.lindex(client.keys.lane(LANE), 0), 1, 0)  # type: ignore[arg-type]
    end = dead("skipped", Failure(Fault.PERMANENT, "Skipped", None, "why"))
    apply(database, int(token), "U0ADMIN", {LANE: [head.ended(end)]})
    assert work(client, database, claim(client, "w"), "w") == [("a", "dead", True)]  # alone: its worker died
    assert work(client, database, claim(client, "w"), "w") == [("b", "applied", False), ("c", "applied", False)]
    assert database.execute("SELECT text FROM stamps ORDER BY n").fetchall() == [("b",), ("c",)]


def test_a_head_that_had_ended_is_taken_off_and_keeps_its_end(
    client: Client, database: Connection, skipper: Skipper
) -> None:
    claimed = claim(client, "killed before it acknowledged")
    apply(database, claimed.token, "w", {LANE: [Entry.read(LANE, claimed.lanes[0].jobs[0], 1, 0)]})
    entry, end = skipper.skip(LANE, "why", 5)
    assert (entry.envelope.id, end.status, end.repeated) == ("a", "applied", True)
    assert ledger(database) == [("a", "applied", "stamped")]
    assert skipper.skip(LANE, "why", 5)[0].envelope.id == "b"


def test_a_redis_that_lost_its_data_and_its_time_does_not_stand_in_the_way(
    client: Client, database: Connection, skipper: Skipper
) -> None:
    future = time.time_ns() // 1000 + 3_600_000_000
    database.execute("INSERT INTO onelane.fences (lane, token) VALUES (%s, %s)", [LANE, future])
    assert skipper.skip(LANE, "why", 5)[0].envelope.id == "a"
    assert ledger(database) == [("a", "dead", "skipped")]
    assert int(client.redis.get(client.keys.named("clock")) or 0) > future  # type: ignore[arg-type]


def test_without_postgresql_the_lane_is_given_back(book: LaneBook, skipper: Skipper) -> None:
    skipper._connection.close()
    with pytest.raises(psycopg.OperationalError):
        skipper.skip(LANE, "why", 1)
    assert (book.lane(LANE).state, book.lane(LANE).jobs, book.lane(LANE).crashes) == ("ready", 3, 0)


def test_a_head_that_was_cancelled_ends_so(client: Client, skipper: Skipper, database: Connection) -> None:
    assert Interventions(client.redis, client.settings, "U0ADMIN").cancel("a", "a typo")
    _, end = skipper.skip(LANE, "why", 1)
    assert (end.status, end.message) == ("cancelled", "An operator cancelled this: a typo")
    assert ledger(database) == [("a", "cancelled", "cancelled")]
    assert client.redis.hlen(client.keys.named("cancelled")) == 0


def test_bytes_that_are_no_job_can_be_skipped(client: Client, skipper: Skipper, database: Connection) -> None:
    client.redis.lpush(client.keys.lane(LANE), b"\xff garbage")
    entry, end = skipper.skip(LANE, "why", 1)
    assert (entry.envelope.kind, end.code) == ("?", "skipped")
    assert database.execute("SELECT body FROM onelane.ledger").fetchone() == (b"\xff garbage",)


def test_two_who_skip_at_once_skip_two_jobs(client: Client, settings: Settings, database: Connection) -> None:
    done: list[str] = []

    def skip() -> None:
        with connect(settings) as own:
            done.append(Skipper(client.redis, own, settings, "U0ADMIN").skip(LANE, "why", 10)[0].envelope.id)

    both = [threading.Thread(target=skip) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sorted(done) == ["a", "b"]
    assert ledger(database) == [("a", "dead", "skipped"), ("b", "dead", "skipped")]


def test_a_repeated_take_gives_the_same_claim(client: Client, redis: Redis) -> None:
    keys = Keys(client.settings.prefix)
    first = run(redis, keys, "take", LANE, LEASE_MS * 1000, grant="t1")
    assert run(redis, keys, "take", LANE, LEASE_MS * 1000, grant="t1") == first
    assert run(redis, keys, "take", LANE, LEASE_MS * 1000, grant="t2") == [b"busy"]
    assert run(redis, keys, "take", "page:other", LEASE_MS * 1000, grant="t3") == [b"absent"]
    word, _, token, lane, memory, crashes, jobs = until(
        lambda: found if len(found := run(redis, keys, "take", LANE, 1000, grant="t2")) > 1 else None, "the lease's end"
    )
    assert (word, lane, memory, crashes, len(jobs)) == (b"claimed", b"page:p", b"", 1, 1)
    assert int(token) > int(first[2])
