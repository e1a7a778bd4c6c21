"""`onelane spool`, and what is enqueued while Redis is away: kept on this host, and sent in order when it is back."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.acceptance.onelane import ONELANE, Onelane, until
from worker.embedded import RunningRedis, start_redis
from worker.lane import Keys

LANE = "user:U0EXAMPLE01"
AWAY = (
    "Redis is away: {} waits in this host's spool, and goes onto {} with the next enqueue, "
    "or by `onelane spool flush`.\n"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningRedis]:
    """A Redis that a test stops and starts again; it keeps what it has."""
    with start_redis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def onelane(tmp_path: Path, server: RunningRedis) -> Onelane:
    """Commands on it; no worker takes anything off its lanes."""
    return Onelane(tmp_path, ONELANE_REDIS_URL=server.url, ONELANE_DATABASE_URL="postgresql://u@localhost:1/x")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The spool's file."""
    return tmp_path / ".onelane" / "spool.jsonl"


def enqueue(job_id: str, *more: str, name: str = "A") -> list[str]:
    """The words that enqueue a job."""
    fields = ["slack_id=U0EXAMPLE01", f"name={name}", "discipline=po", "--actor", "U0EXAMPLE09"]
    return ["enqueue", "user.upsert", *fields, "--id", job_id, *more]


def line(job_id: str, person: str = "U0EXAMPLE01") -> str:
    """A line of a job file."""
    payload = {"slack_id": person, "name": "A", "discipline": "po"}
    return json.dumps({"kind": "user.upsert", "payload": payload, "actor": "U0EXAMPLE09", "id": job_id}) + "\n"


def ids_on(server: RunningRedis, lane: str = LANE) -> list[str]:
    """The jobs of a lane, in order."""
    with Redis.from_url(server.url) as redis:
        jobs = redis.lrange(Keys("onelane").lane(lane), 0, -1)
    return [json.loads(job)["id"] for job in jobs]  # type: ignore[union-attr]  # redis-py types both its clients


def test_while_redis_is_away_jobs_wait_in_the_spool_and_go_first_when_it_is_back(
    onelane: Onelane, server: RunningRedis, spool: Path
) -> None:
    assert onelane(*enqueue("1")).out == f"1 waits on {LANE}.\n"
    server.stop()
    done = onelane(*enqueue("2"))
    assert (done.code, done.out, done.err) == (0, AWAY.format("2", LANE), "")
    done = onelane(*enqueue("3", "--json"))
    assert (done.code, done.json) == (0, {"id": "3", "lane": LANE, "state": "spooled"})
    assert onelane(*enqueue("4", "--wait", "1")).code == 1  # it is safe, but has no outcome

    assert onelane("job", "3").out.startswith(
        "It waits in this host's spool; the next enqueue that reaches Redis sends it."
    )
    assert onelane("job", "1").code == 2
    status = onelane("spool", "status")
    assert (status.code, status.out[:24]) == (0, "Jobs waiting here: 3, th")
    assert onelane("spool", "flush").code == 2
    found = onelane("spool", "status", "--json").json
    assert (found["jobs"], found["bytes"], found["damaged_lines"]) == (3, spool.stat().st_size, [])

    server.start()
    assert onelane("lanes", "--wait-empty", "0").code == 2  # PostgreSQL is away here
    assert onelane(*enqueue("5")).out == f"5 waits on {LANE}.\n"
    assert ids_on(server) == ["1", "2", "3", "4", "5"]
    assert onelane("spool", "status").out == "The spool is empty.\n"


def test_a_file_goes_into_the_spool_too_and_flush_sends_it_in_order(onelane: Onelane, server: RunningRedis) -> None:
    server.stop()
    names = [str(n) for n in range(5000)]
    done = onelane("enqueue", "--file", "-", "--json", stdin="".join(map(line, names)) + "{\n")
    assert (done.code, {**done.json, "refused": len(done.json["refused"])}) == (
        1,
        {"enqueued": 0, "duplicates": 0, "spooled": 5000, "refused": 1},
    )
    server.start()
    done = onelane("spool", "flush")
    assert (done.code, done.out, done.err) == (0, "Jobs sent: 5,000; known before: 0.\n", "")
    assert ids_on(server) == names
    done = onelane("spool", "flush", "--json")
    assert (done.code, done.json) == (0, {"sent": 0, "duplicates": 0, "set_aside": 0, "left": 0})


def test_damaged_lines_are_set_aside_and_named_and_the_rest_goes_on(
    onelane: Onelane, server: RunningRedis, spool: Path
) -> None:
    server.stop()
    for job_id in ("1", "2", "3"):
        assert onelane(*enqueue(job_id)).code == 0
    good = spool.read_bytes().splitlines(keepends=True)
    damaged = [
        b"\x00\xff\n",
        good[1][:80] + b"\n",
        good[1].replace(b'"2"', b'"9"'),
        b'["a","b","c","e30="]\n',
        good[2][:50],
    ]
    spool.write_bytes(b"".join([damaged[0], good[0], *damaged[1:4], b"\n", good[2], damaged[4]]))
    status = onelane("spool", "status", "--json").json
    assert (status["jobs"], status["damaged_lines"]) == (2, [1, 3, 4, 5, 8])

    server.start()
    done = onelane("spool", "flush")
    assert (done.code, done.out) == (1, "Jobs sent: 2; known before: 0.\n")
    kept = spool.with_name("spool.bad")
    assert done.err.splitlines() == [
        f"A spooled job can't be queued: line {number} is damaged. It is kept in {kept.relative_to(onelane.directory)}."
        for number in (1, 3, 4, 5, 8)
    ]
    assert kept.read_bytes() == b"".join(damaged) + b"\n"
    assert ids_on(server) == ["1", "3"]
    status = onelane("spool", "status")
    assert (status.out, status.err) == (
        "The spool is empty.\n",
        "Lines that can't be queued: 5, kept in .onelane/spool.bad.\n",
    )


def test_a_job_under_the_id_of_another_is_set_aside(onelane: Onelane, server: RunningRedis, spool: Path) -> None:
    server.stop()
    for name in ("A", "B"):
        assert onelane(*enqueue("1", name=name)).code == 0
    second = spool.read_bytes().splitlines(keepends=True)[1]
    server.start()
    done = onelane("spool", "flush", "--json")
    assert (done.code, done.json) == (1, {"sent": 0, "duplicates": 0, "set_aside": 1, "left": 0})
    assert "line 2 has the id of a job with another payload" in done.err
    assert (ids_on(server), spool.with_name("spool.bad").read_bytes()) == (["1"], second)


def test_nothing_passes_a_full_lane(onelane: Onelane, server: RunningRedis) -> None:
    server.stop()
    text = (
        "".join(line(f"a{n}") for n in range(3)) + line("b", "U0EXAMPLE02") + "".join(line(f"c{n}") for n in range(600))
    )
    assert onelane("enqueue", "--file", "-", stdin=text).code == 0
    server.start()
    small = onelane.with_settings(ONELANE_LANE_LIMIT="2")
    done = small("spool", "flush")
    assert (done.code, done.err) == (
        1,
        "Jobs that stay: 604, since a lane is full (ONELANE_LANE_LIMIT, ONELANE_TOTAL_LIMIT).\n",
    )
    assert ids_on(server) == ["a0", "a1"]
    done = small(*enqueue("d"))
    assert (done.code, "waits in this host's spool" in done.out) == (0, True)
    assert ids_on(server) == ["a0", "a1"]
    assert onelane("spool", "flush").code == 0
    assert ids_on(server) == ["a0", "a1", "a2", *(f"c{n}" for n in range(600)), "d"]
    assert ids_on(server, "user:U0EXAMPLE02") == ["b"]


def test_a_flush_that_is_killed_is_done_again_and_queues_nothing_twice(
    onelane: Onelane, server: RunningRedis, spool: Path
) -> None:
    server.stop()
    names = [str(n) for n in range(10_000)]
    assert onelane("enqueue", "--file", "-", stdin="".join(map(line, names))).code == 0
    server.start()
    flushing = onelane.start("spool", "flush")
    until(lambda: ids_on(server), "the first jobs")
    flushing.kill()
    flushing.wait()
    assert 0 < len(ids_on(server)) < 10_000
    assert spool.stat().st_size > 0
    both = [subprocess.Popen([ONELANE, "spool", "flush"], **options(onelane)) for _ in range(2)]  # type: ignore[call-overload]
    assert [each.wait(30) for each in both] == [0, 0]
    assert ids_on(server) == names
    assert spool.stat().st_size == 0


def options(onelane: Onelane) -> dict[str, object]:
    """How to start a command beside others."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return {"cwd": onelane.directory, "env": onelane.environment, **silent}


def test_a_spool_that_can_not_be_used_is_said(onelane: Onelane, server: RunningRedis) -> None:
    blocked = onelane.with_settings(ONELANE_DATA_DIR="/dev/null/spool")
    sentence = (
        "The spool in /dev/null/spool can't be used (Not a directory): mend that, or name another directory in "
        "ONELANE_DATA_DIR."
    )
    for words in (("spool", "status"), ("spool", "flush"), ("job", "Ev1")):
        done = blocked(*words)
        assert (words, done.code, done.out, done.err) == (words, 2, "", f"{sentence}\n")
    done = blocked(*enqueue("1"))
    assert (done.code, done.out, done.err) == (2, "", f"Nothing was enqueued. {sentence}\n")
    server.stop()
    done = blocked(*enqueue("1"))
    assert (done.code, done.out, done.err) == (2, "", f"Nothing was enqueued. {sentence}\n")
    done = blocked("enqueue", "--file", "-", stdin=line("1"))
    assert (done.code, done.out, done.err) == (2, "", f"Only lines up to 0 were enqueued. {sentence}\n")


def test_ctrl_c_says_how_far_a_file_has_come(onelane: Onelane, server: RunningRedis) -> None:
    feeding = subprocess.Popen(
        [ONELANE, "enqueue", "--file", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=onelane.directory,
        env=onelane.environment,
    )
    with feeding:
        assert feeding.stdin is not None
        feeding.stdin.write("".join(line(str(n)) for n in range(1100)).encode())
        feeding.stdin.flush()
        until(lambda: len(ids_on(server)) >= 1000, "two chunks")
        feeding.send_signal(signal.SIGINT)
        _, said = feeding.communicate(timeout=20)
    assert feeding.returncode == 1
    found = re.fullmatch(r"Interrupted: lines up to (\d+) were enqueued, and perhaps the next 500\.\n", said.decode())
    assert found is not None
    assert int(found[1]) <= len(ids_on(server)) <= int(found[1]) + 500
