"""A Redis that refuses us is an error at once: a spool that nobody knows of would fill up instead. One that is away, or
is still loading its data, is an outage.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from tests.integration.kinds import Write
from tests.integration.notebook import ACTOR, eventually
from worker import Client, ConfigurationError
from worker.embedded import RunningRedis, start_redis
from worker.settings import Settings

PASSWORD = "s3cret-hunter2"
REFUSED = "Redis refuses the user or password in ONELANE_REDIS_URL."
FORBIDDEN = "Redis forbids the user in ONELANE_REDIS_URL what Onelane needs to do: "


class SlowRedis(RunningRedis):
    """A Redis that can be met while it loads its data."""

    pause_us = 0

    def command(self) -> list[str]:
        """As ever, with a pause at each command that it reads again."""
        return [*super().command(), "--key-load-delay", str(self.pause_us)]

    def answers(self) -> bool:
        """Whether it says anything at all."""
        return self._said() is not None

    def is_loading(self) -> bool:
        """Whether its data is not there yet."""
        return self._said() == "loading"

    def _said(self) -> str | None:
        with Redis.from_url(self.url, retry=Retry(NoBackoff(), 0)) as client:
            try:
                client.ping()
            except BusyLoadingError:
                return "loading"
            except RedisError:
                return None
        return "ready"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRedis]:
    """A Redis with a password, and users that may do little."""
    with start_redis(tmp_path_factory.mktemp("locked"), durable=False) as running:
        with Redis.from_url(running.url) as client:
            for user, *rules in (
                ("no-scripts", "~*", "+@all", "-evalsha", "-script"),
                ("no-keys", "~somebody-elses*", "+@all"),
                ("no-lists", "~*", "+@all", "-rpush"),
                ("off", "~*", "+@all"),
            ):
                client.execute_command("ACL", "SETUSER", user, "off" if user == "off" else "on", ">right", *rules)
            client.config_set("requirepass", "right")
        yield running


def client_of(url: str, data_dir: Path) -> Client:
    return Client(Settings(redis_url=url, data_dir=data_dir))


REFUSALS = {
    f":{PASSWORD}@": REFUSED,
    f"nobody:{PASSWORD}@": REFUSED,
    "off:right@": REFUSED,
    "": REFUSED,
    "no-scripts:right@": FORBIDDEN,
    "no-keys:right@": FORBIDDEN,
    "no-lists:right@": FORBIDDEN,
    ":right@?db=99": "Redis has no database of the number that is in ONELANE_REDIS_URL.",
}


@pytest.mark.parametrize("who", REFUSALS)
def test_a_redis_that_refuses_us_is_an_error_and_nothing_is_queued_or_spooled(
    server: RunningRedis, tmp_path: Path, who: str
) -> None:
    user, _, database = who.partition("?")
    url = server.url.replace("unix://", f"unix://{user}").replace("db=0", database or "db=0")
    client = client_of(url, tmp_path)
    jobs = [Write(page="p", text=str(number)) for number in range(3)]
    for enqueue in (lambda: client.enqueue(jobs[0], actor=ACTOR), lambda: client.enqueue_many(jobs, actor=ACTOR)):
        with pytest.raises(ConfigurationError) as raised:
            enqueue()
        said = str(raised.value)
        assert said.startswith(REFUSALS[who])
        assert said.endswith(".")
        assert "\n" not in said
        assert PASSWORD not in said
        assert raised.value.__suppress_context__
    assert not client.spool.waiting()
    with Redis.from_url(server.url.replace("unix://", "unix://:right@")) as redis:
        assert set(redis.keys()) <= {client.keys.named("clock").encode()}  # a script that is stopped has asked the time
    client.redis.close()


def test_what_is_in_the_spool_stays_there_and_nothing_is_added_while_redis_refuses_us(tmp_path: Path) -> None:
    with start_redis(tmp_path / "redis", durable=False) as server:
        server.stop()
        client = client_of(server.url, tmp_path)
        first = client.enqueue(Write(page="p", text="one"), actor=ACTOR)
        assert first.state == "spooled"
        spooled = (tmp_path / "spool.jsonl").read_bytes()
        server.start()
        with Redis.from_url(server.url) as redis:
            redis.config_set("requirepass", "right")

        refused = client_of(server.url, tmp_path)
        with pytest.raises(ConfigurationError, match=REFUSED):
            refused.enqueue(Write(page="p", text="two"), actor=ACTOR)
        assert (tmp_path / "spool.jsonl").read_bytes() == spooled

        admitted = client_of(server.url.replace("unix://", "unix://:right@"), tmp_path)
        third = admitted.enqueue(Write(page="p", text="three"), actor=ACTOR)
        assert third.state == "queued"
        jobs: list[bytes] = admitted.redis.lrange(admitted.keys.lane("page:p"), 0, -1)  # type: ignore[assignment]
        assert [json.loads(job)["id"] for job in jobs] == [first.id, third.id]
        for opened in (client, refused, admitted):
            opened.redis.close()


def test_a_redis_that_is_away_or_loads_its_data_is_an_outage(tmp_path: Path) -> None:
    server = SlowRedis(tmp_path / "redis")
    server.start()
    try:
        client = client_of(server.url, tmp_path)
        with client.redis.pipeline(transaction=False) as pipeline:
            for number in range(40_000):
                pipeline.set(f"k{number}", "v")
            pipeline.execute()
        server.stop()
        away = client_of(server.url, tmp_path).enqueue(Write(page="p", text="away"), actor=ACTOR)
        server.pause_us = 1
        server.start()
        loading = client_of(server.url, tmp_path).enqueue(Write(page="p", text="loading"), actor=ACTOR)
        assert server.is_loading()
        assert (away.state, loading.state) == ("spooled", "spooled")
        eventually(lambda: not server.is_loading(), "the data is there")
        assert client_of(server.url, tmp_path).enqueue(Write(page="p", text="after"), actor=ACTOR).state == "queued"
        jobs: list[bytes] = client.redis.lrange(client.keys.lane("page:p"), 0, -1)  # type: ignore[assignment]
        assert [json.loads(job)["payload"]["text"] for job in jobs] == ["away", "loading", "after"]
    finally:
        server.stop()
