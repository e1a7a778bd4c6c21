"""Alerts: one message for an incident, one when it is over, sent by one sentinel, kept while sending fails."""

import pytest
from redis import Redis

from tests.operations.conftest import Receiver
from worker.alerts import Alerts
from worker.database import connect
from worker.errors import ConfigurationError
from worker.lane import Keys
from worker.sentinel import Sentinel, notifier
from worker.settings import Settings
from worker.spool import Spool


@pytest.fixture
def settings(settings: Settings, receiver: Receiver) -> Settings:
    return settings.model_copy(update={"alert_urls": receiver.url})


@pytest.fixture
def alerts(redis: Redis, settings: Settings) -> Alerts:
    return Alerts(redis, Keys(settings.prefix), settings)


def titles(receiver: Receiver) -> list[str]:
    return [message["title"] for message in receiver.messages]


def test_many_dead_letters_are_one_alert_that_counts(alerts: Alerts, settings: Settings, receiver: Receiver) -> None:
    for number in range(1000):
        alerts.begin("dead", f"user.upsert {number} is a dead letter", "onelane dead list")
    sentinel = Sentinel(settings)
    sentinel._send()
    sentinel._send()
    (message,) = receiver.messages
    assert message["title"] == "Onelane: dead has begun"
    first, second = message["message"].splitlines()
    assert first == "user.upsert 0 is a dead letter"
    assert second.endswith(" UTC (1000 times). More: onelane dead list")


def test_an_incident_that_is_over_is_told_once_and_may_begin_anew(
    alerts: Alerts, settings: Settings, receiver: Receiver
) -> None:
    sentinel = Sentinel(settings)
    alerts.end("outage:postgresql", "It was never away.")
    for _ in range(2):
        alerts.begin("outage:postgresql", "PostgreSQL is away.")
        alerts.begin("outage:postgresql", "PostgreSQL is away.")
        alerts.end("outage:postgresql", "PostgreSQL is back.")
        alerts.end("outage:postgresql", "PostgreSQL is back.")
    sentinel._send()
    assert titles(receiver) == ["Onelane: outage has begun", "Onelane: outage is over"] * 2
    assert receiver.messages[1]["message"].startswith("PostgreSQL is back.\nSince ")
    assert "(2 times)" in receiver.messages[1]["message"]
    assert alerts.open() == set()


def test_what_can_not_be_sent_is_kept_in_order(alerts: Alerts, settings: Settings, receiver: Receiver) -> None:
    sentinel = Sentinel(settings)
    receiver.status = 500
    alerts.begin("held:a", "The lane a is held.")
    alerts.begin("held:b", "The lane b is held.")
    sentinel._send()
    assert (receiver.messages, receiver.refused) == ([], 1)
    receiver.status = 200
    sentinel._send()
    assert [message["message"].splitlines()[0] for message in receiver.messages] == [
        "The lane a is held.",
        "The lane b is held.",
    ]


def test_only_one_sentinel_is_on_guard(settings: Settings) -> None:
    first, second = Sentinel(settings), Sentinel(settings)
    assert [s._is_on_guard() for s in (first, second, first, second)] == [True, False, True, False]


def test_a_dead_letter_incident_ends_with_the_last_dead_letter(
    alerts: Alerts, settings: Settings, receiver: Receiver
) -> None:
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO onelane.ledger (job_id, kind, lane, seq, actor, digest, status, code, message, worker, token,"
            " enqueued_at) VALUES ('j', 'k', 'l', 1, 'a', 'd', 'dead', 'permanent', '', 'w', 1, now())"
        )
        alerts.begin("dead", "j is a dead letter")
        sentinel = Sentinel(settings)
        sentinel.round()
        assert alerts.open() == {"dead"}
        connection.execute("UPDATE onelane.ledger SET status = 'discarded'")
        sentinel._next_look = 0.0
        sentinel.round()
    assert alerts.open() == set()
    assert titles(receiver) == ["Onelane: dead has begun", "Onelane: dead is over"]


def test_lanes_that_wait_for_long_and_holds_begin_and_end(
    alerts: Alerts, redis: Redis, settings: Settings, receiver: Receiver
) -> None:
    keys = Keys(settings.prefix)
    redis.zadd(keys.named("ready"), {"user:U1": 1})
    alerts.begin("held:user:U2", "The lane user:U2 is held.")
    sentinel = Sentinel(settings)
    sentinel.round()
    assert alerts.open() == {"oldest"}
    redis.zrem(keys.named("ready"), "user:U1")
    sentinel._next_look = 0.0
    sentinel.round()
    assert titles(receiver) == [
        "Onelane: held has begun",
        "Onelane: oldest has begun",
        "Onelane: held is over",
        "Onelane: oldest is over",
    ]


def test_a_spool_in_use_is_an_incident_of_its_host(alerts: Alerts, settings: Settings) -> None:
    spool = settings.data_dir / "spool.jsonl"
    spool.write_bytes(b"[]\n")
    assert Spool(settings.data_dir).waiting()
    sentinel = Sentinel(settings)
    sentinel.round()
    (incident,) = alerts.open()
    assert incident.startswith("spool:")
    spool.write_bytes(b"")
    sentinel.round()
    assert alerts.open() == set()


def test_broken_data_is_an_incident(alerts: Alerts, settings: Settings) -> None:
    with connect(settings) as connection:
        connection.execute("ALTER TABLE current_state DROP CONSTRAINT unique_current_state")
        sentinel = Sentinel(settings)
        sentinel.round()
        assert alerts.open() == {"consistency"}


def test_an_alert_url_that_is_none_is_named_without_its_secrets(settings: Settings) -> None:
    broken = settings.model_copy(update={"alert_urls": f"{settings.alert_urls} nonsense://user:secret@host"})
    with pytest.raises(
        ConfigurationError, match=r"ONELANE_ALERT_URLS: the 2\. is not a URL that apprise knows"
    ) as refused:
        notifier(broken)
    assert "secret" not in str(refused.value)
