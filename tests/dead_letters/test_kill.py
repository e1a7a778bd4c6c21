"""A replay that is killed at any step: each job is in exactly one place, and the next run goes on."""

import signal
from collections import Counter
from itertools import count

from tests.dead_letters.conftest import Sender, bury
from tests.dead_letters.replaying import replay_until_killed
from tests.integration.kinds import Write
from tests.integration.notebook import Notebook
from worker.database import connect
from worker.dead_letters import Filter
from worker.dead_letters.drive import Drive
from worker.envelope import decode
from worker.redis_client import redis_client
from worker.settings import Settings

TEXTS = {"p": list("abc"), "q": list("de")}

ALLOWED = [
    Counter(["dead"]),
    Counter(["replaying", "outbox"]),
    Counter(["replaying", "lane"]),
    Counter(["replaying", "outbox", "lane"]),
]


def replay_the_rest(settings: Settings) -> None:
    with connect(settings) as connection, redis_client(settings) as redis:
        Drive(settings, connection, redis).run(Filter(), actor="ada", reason=None, force=False)


def places(notebook: Notebook, ids: list[str], pages: list[str]) -> list[Counter[str]]:
    """Where each job is: its status, and whether it stands in the outbox, in a lane, or in both for a moment."""
    found = {job_id: Counter([notebook.ended(job_id)["status"]]) for job_id in ids}
    for row in notebook.rows("SELECT key FROM onelane.outbox"):
        found[row["key"]]["outbox"] += 1
    for page in pages:
        for raw in notebook.redis.lrange(notebook.keys.lane(f"page:{page}"), 0, -1):
            found[decode(raw).id]["lane"] += 1
    return list(found.values())


def test_a_replay_that_is_killed_before_any_of_its_steps_goes_on_when_run_again(
    notebook: Notebook, settings: Settings
) -> None:
    for step in count():
        texts = {f"{page}{step}": texts for page, texts in TEXTS.items()}
        jobs = [Write(page=page, text=text) for page in texts for text in texts[page]]
        ids = bury(notebook, jobs, first=10 * step + 1)
        code = replay_until_killed(settings, step)
        assert all(where in ALLOWED for where in places(notebook, ids, list(texts)))

        replay_the_rest(settings)
        assert places(notebook, ids, list(texts)) == [Counter(["replaying", "lane"])] * 5
        assert notebook.rows("SELECT FROM onelane.outbox") == []

        notebook.drain_all()
        assert {page: notebook.lines(page) for page in texts} == texts
        assert {notebook.ended(job_id)["status"] for job_id in ids} == {"applied"}
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert step > 10


def test_a_killed_replay_is_finished_by_the_workers_alone(notebook: Notebook, send_back: Sender) -> None:
    bury(notebook, [Write(page="p", text=text) for text in "abc"])
    send_back()
    assert len(notebook.rows("SELECT FROM onelane.outbox")) == 3
    notebook.drain_all()
    assert notebook.lines("p") == list("abc")


def test_jobs_that_redis_has_lost_on_their_way_are_sent_again(notebook: Notebook, settings: Settings) -> None:
    bury(notebook, [Write(page="p", text=text) for text in "abc"])
    with connect(settings) as connection:
        Drive(settings, connection, notebook.redis).run(Filter(), actor="ada", reason=None, force=False)
        assert notebook.redis.llen(notebook.keys.lane("page:p")) == 3
        notebook.redis.delete(*notebook.redis.keys(notebook.keys.named("*")))
        notebook.drain_all()
        assert notebook.lines("p") == []
        again = Drive(settings, connection, notebook.redis)
        again.run(Filter(replaying=True), actor="ada", reason="Redis lost its data", force=False)
    assert len(again.result.replayed) == 3
    notebook.drain_all()
    assert notebook.lines("p") == list("abc")
