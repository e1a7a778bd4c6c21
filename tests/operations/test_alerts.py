"""Alerts: one message for an incident, one when it is over, brought by one sentinel, kept while sending fails."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic_core import from_json
from redis import Redis

from tests.operations.conftest import Receiver
from worker.alerts import Alerts
from worker.database import connect
from worker.errors import ConfigurationError
from worker.lane import Keys
from worker.recipient import require_tellable
from worker.sentinel import NEWEST, Sentinel
from worker.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""apprise imports it; Python 3.13, which has it no more, apprise supports as well."""

MakeSentinel = Callable[..., Sentinel]


@pytest.fixture
def settings(settings: Settings, receiver: Receiver) -> Settings:
    return settings.model_copy(update={"alert_urls": receiver.url})


@pytest.fixture
def alerts(redis: Redis, settings: Settings) -> Alerts:
    return Alerts(redis, Keys(settings.prefix))


@pytest.fixture
def make_sentinel(settings: Settings) -> Iterator[MakeSentinel]:
    """Makes sentinels that take an incident for over at once."""
    made = []

    def make(changed: Settings | None = None, stay_over_seconds: float = 0.0) -> Sentinel:
        made.append(Sentinel(changed or settings, stay_over_seconds=stay_over_seconds))
        return made[-1]

    yield make
    for sentinel in made:
        sentinel.leave()


@pytest.fixture
def sentinel(make_sentinel: MakeSentinel) -> Sentinel:
    return make_sentinel()


def until_told(receiver: Receiver, *titles: str) -> None:
    """Wait until exactly these messages have come."""
    wanted = [f"Onelane: {title}" for title in titles]
    deadline = time.monotonic() + 10
    while receiver.titles != wanted and time.monotonic() < deadline:
        time.sleep(0.005)
    assert receiver.titles == wanted


def until_quiet(sentinel: Sentinel) -> None:
    """Wait until nothing is being brought."""
    for recipient in sentinel._recipients:
        if recipient._bringing._awaited is not None:
            recipient._bringing._awaited.result(10)


def bury(settings: Settings, job_id: str, code: str = "permanent") -> None:
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO onelane.ledger (job_id, kind, lane, seq, actor, digest, status, code, message, worker, token,"
            " enqueued_at, error) VALUES (%s, 'k', 'l', 1, 'a', 'd', 'dead', %s, '', 'w', 1, now(), 'no')",
            [job_id, code],
        )


def discard(settings: Settings, job_id: str) -> None:
    with connect(settings) as connection:
        connection.execute("UPDATE onelane.ledger SET status = 'discarded' WHERE job_id = %s", [job_id])


def test_ten_thousand_dead_letters_are_one_alert_that_counts(
    alerts: Alerts, settings: Settings, sentinel: Sentinel, receiver: Receiver
) -> None:
    bury(settings, "j1")
    for number in range(1, 101):
        alerts.begin("dead", f"user.upsert {number} is a dead letter\nDETAIL: a secret", "onelane dead list", count=100)
    sentinel.round()
    until_told(receiver, "dead letters")
    sentinel.round()
    until_quiet(sentinel)
    (message,) = receiver.messages
    first, second = message["message"].splitlines()
    assert first == "user.upsert 1 is a dead letter"
    assert second.endswith(" UTC, 10,000 times. More: onelane dead list")


def test_an_incident_that_is_over_is_told_once_and_may_begin_anew(
    alerts: Alerts, sentinel: Sentinel, receiver: Receiver
) -> None:
    alerts.end("outage:broker", "It was never away.")
    for begun in (1, 2):
        for _ in range(2):
            alerts.begin("outage:broker", "The broker is away.")
        sentinel.round()
        until_told(receiver, *["outage of broker", "over: outage of broker"] * (begun - 1), "outage of broker")
        for _ in range(2):
            alerts.end("outage:broker", "The broker is back.")
        sentinel.round()
        sentinel.round()
        until_told(receiver, *["outage of broker", "over: outage of broker"] * begun)
    assert receiver.messages[1]["message"].startswith("The broker is back.\nSince ")
    assert ", 2 times. " in receiver.messages[1]["message"]
    assert alerts.open() == {}


def test_what_comes_and_goes_is_one_incident(alerts: Alerts, make_sentinel: MakeSentinel, receiver: Receiver) -> None:
    patient = make_sentinel(stay_over_seconds=3600)
    for _ in range(20):
        alerts.begin("outage:broker", "The broker is away.")
        patient.round()
        assert set(alerts.open()) == {"outage:broker"}
        alerts.end("outage:broker", "The broker is back.")
        patient.round()
    assert alerts.open() == {}, "while it seems over it is not open"
    until_told(receiver, "outage of broker")
    impatient = make_sentinel()
    patient._redis.delete(patient._keys.named("guard"))
    impatient.round()
    until_told(receiver, "outage of broker", "over: outage of broker")
    assert ", 20 times. " in receiver.messages[1]["message"]


def test_what_can_not_be_sent_is_kept_in_order_and_tried_less_and_less_often(
    alerts: Alerts, sentinel: Sentinel, receiver: Receiver
) -> None:
    person = sentinel._recipients[1]
    receiver.status = 500
    for name in ("a", "b"):
        alerts.begin(f"outage:{name}", f"{name} is away.")
    for tried in (1, 2, 3):
        before = time.monotonic()
        sentinel.round()
        until_quiet(sentinel)
        sentinel.round()
        until_quiet(sentinel)
        assert (receiver.messages, receiver.refused) == ([], tried)
        assert person._not_before - before == pytest.approx(10 * 2 ** (tried - 1), abs=2)
        person._not_before = 0.0
    receiver.status = 200
    sentinel.round()
    until_told(receiver, "outage of a", "outage of b")
    assert [message["message"].splitlines()[0] for message in receiver.messages] == ["a is away.", "b is away."]


def test_one_whose_server_is_away_keeps_no_other_waiting(
    alerts: Alerts, settings: Settings, make_sentinel: MakeSentinel, receiver: Receiver, redis: Redis
) -> None:
    urls = f"json://127.0.0.1:1/ {receiver.url} nonsense://user:secret@host"
    sentinel = make_sentinel(settings.model_copy(update={"alert_urls": urls}))
    for number in range(3):
        alerts.begin(f"outage:{number}", f"{number} is away.")
        sentinel.round()
        until_quiet(sentinel)
    assert [message["message"][0] for message in receiver.messages] == ["0", "1", "2"]
    heard = [fields for _, fields in redis.xrange(settings.effects_stream)]
    assert [fields[b"kind"] for fields in heard] == [b"alert"] * 3
    assert [from_json(fields[b"payload"])["incident"] for fields in heard] == [f"outage:{n}" for n in range(3)]


def test_a_sentinel_that_takes_over_repeats_nothing(
    alerts: Alerts, make_sentinel: MakeSentinel, receiver: Receiver, redis: Redis, settings: Settings
) -> None:
    first = make_sentinel()
    alerts.begin("outage:a", "a is away.")
    first.round()
    until_told(receiver, "outage of a")
    redis.delete(first._keys.named("guard"))
    second = make_sentinel()
    alerts.begin("outage:b", "b is away.")
    second.round()
    until_quiet(second)
    assert [message["message"][0] for message in receiver.messages] == ["a", "b"]
    assert redis.xlen(settings.effects_stream) == 2


def test_only_one_sentinel_is_on_guard_and_all_are_counted(make_sentinel: MakeSentinel, redis: Redis) -> None:
    first, second = make_sentinel(), make_sentinel()
    assert [s._look().on_guard for s in (first, second, first, second)] == [True, False, True, False]
    assert redis.zcard(first._keys.named("workers")) == 2
    first.leave()
    assert redis.zcard(first._keys.named("workers")) == 1
    assert second._look().on_guard, "who leaves gives the guard up"
    first.leave()
    assert second._look().on_guard, "but not another's"


def test_a_dead_letter_that_no_drain_lived_to_tell_of_is_told(
    settings: Settings, sentinel: Sentinel, receiver: Receiver
) -> None:
    bury(settings, "j1")
    sentinel.round()
    until_told(receiver, "dead letters")
    assert receiver.messages[0]["message"].startswith("k j1 is a dead letter (permanent): no\n")
    discard(settings, "j1")
    sentinel.round()
    sentinel.round()
    until_told(receiver, "dead letters", "over: dead letters")


def test_a_crash_loop_is_an_incident_of_its_own_and_over_when_none_of_its_dead_letters_waits(
    settings: Settings, sentinel: Sentinel, receiver: Receiver
) -> None:
    bury(settings, "j1", "crash_loop")
    sentinel.round()
    until_told(receiver, "crash loop")
    for number in range(2, NEWEST + 3):
        bury(settings, f"j{number}")
    sentinel.round()
    sentinel.round()
    until_told(receiver, "crash loop", "dead letters")
    discard(settings, "j1")
    sentinel.round()
    sentinel.round()
    until_told(receiver, "crash loop", "dead letters", "over: crash loop")


def test_lanes_that_wait_for_long_and_lanes_that_are_held_begin_and_end(
    alerts: Alerts, redis: Redis, sentinel: Sentinel, receiver: Receiver
) -> None:
    named = sentinel._keys.named
    redis.zadd(named("ready"), {"user:U1": 1})
    for lane in ("user:U2", "user:U3"):
        redis.hset(named("held"), lane, "0 {}")
    sentinel.round()
    until_told(receiver, "lanes wait for long", "held lanes")
    assert receiver.messages[0]["message"].splitlines()[0].endswith(" s: user:U1.")
    assert receiver.messages[1]["message"].splitlines()[0] == "2 lanes are held."
    redis.delete(named("held"))
    redis.zadd(named("ready"), {"user:U1": time.time() * 1_000_000})
    sentinel.round()
    assert alerts.open() == {}
    sentinel.round()
    until_told(receiver, "lanes wait for long", "held lanes", "over: lanes wait for long", "over: held lanes")


def test_a_spool_in_use_is_an_incident_of_its_host(alerts: Alerts, settings: Settings, make_sentinel: Any) -> None:
    on_guard, other = make_sentinel(), make_sentinel()
    on_guard.round()
    spool = settings.data_dir / "spool.jsonl"
    spool.write_bytes(b"[]\n")
    other.round()
    (incident,) = alerts.open()
    assert incident.startswith("spool:")
    spool.write_bytes(b"")
    other.round()
    assert alerts.open() == {}


def test_a_spool_that_can_not_be_looked_at_is_told_and_keeps_nothing_else_from_being_told(
    settings: Settings, make_sentinel: MakeSentinel, receiver: Receiver
) -> None:
    bury(settings, "a")
    directory = settings.data_dir / "file"
    directory.touch()
    sentinel = make_sentinel(settings.model_copy(update={"data_dir": directory}))
    assert sentinel.round()
    host = socket.gethostname()
    until_told(receiver, f"spool of {host}", "dead letters")
    assert receiver.messages[0]["message"].splitlines()[0] == (
        f"The spool in {directory} can't be used (Not a directory): mend that, or name another directory in "
        "ONELANE_DATA_DIR."
    )
    directory.unlink()
    sentinel.round()
    until_told(receiver, f"spool of {host}", "dead letters", f"over: spool of {host}")


def test_broken_data_is_an_incident_until_it_is_mended(alerts: Alerts, settings: Settings, sentinel: Sentinel) -> None:
    def verified() -> dict[str, Any]:
        sentinel._next_verify = 0.0
        sentinel.round()
        assert sentinel._verifying is not None
        sentinel._verifying.result(10)
        sentinel.round()
        return alerts.open()

    assert verified() == {}
    with connect(settings) as connection:
        connection.execute("ALTER TABLE current_state DROP CONSTRAINT unique_current_state")
        assert set(verified()) == {"consistency"}
        connection.execute("ALTER TABLE current_state ADD CONSTRAINT unique_current_state CHECK (id = 1)")
    assert verified() == {}


def test_an_alert_url_that_is_none_is_named_without_its_secrets(settings: Settings) -> None:
    require_tellable(settings)
    broken = settings.model_copy(update={"alert_urls": f"{settings.alert_urls} nonsense://user:secret@host"})
    with pytest.raises(
        ConfigurationError, match=r"ONELANE_ALERT_URLS: the 2\. is not a URL that apprise knows"
    ) as refused:
        require_tellable(broken)
    assert "secret" not in str(refused.value)
