"""How `onelane dead show` tells of one dead letter: like a good bug report."""

import time
from dataclasses import asdict
from typing import Any

from redis.exceptions import RedisError

from worker.cli.output import duration, say, show_fields, show_table
from worker.dead_letters.acts import Act
from worker.dead_letters.letter import Letter
from worker.dead_letters.report import Report
from worker.errors import ConfigurationError, Refused
from worker.lane import Keys
from worker.lane_book import LaneBook, UnknownLane
from worker.lane_state import Lane
from worker.redis_client import redis_client
from worker.settings import Settings


def prospect(settings: Settings, report: Report) -> str:
    """What a replay would do, in a few sentences."""
    name = report.letter.lane
    if report.letter.status == "replaying":
        return f"It is on its way back: see `onelane job {report.letter.id}`. To replay it again is harmless."
    if fate := report.fate():
        return fate
    sentences = [f"It goes back to its place in {name}, {_state(settings, name)}."]
    if report.older:
        sentences.append(
            f"{report.older:,} older of the lane would stay dead, and be too late once this one is applied: replay them"
            f" together (--lane {name})."
        )
    return " ".join(sentences)


def plain(report: Report, would: str) -> dict[str, Any]:
    """A report for programs."""
    letter = report.letter
    return {
        **asdict(letter),
        "has_reply_to": report.has_reply_to,
        "payload": letter.envelope.payload if letter.envelope is not None else None,
        "row_now": report.row_now,
        "acts": [asdict(act) for act in report.acts],
        "replay": {"refused": report.outlook.refusal(force=False), "would": would},
    }


def show_report(report: Report, would: str) -> None:
    """A report for people."""
    letter = report.letter
    ago = duration(time.time() - letter.finished_at.timestamp())
    became = "died" if report.outlook.is_dead else f"was {letter.status}"
    say(f"{letter.kind} {letter.id} {became} {ago} ago ({letter.code}).")
    if letter.error_class is not None:
        sqlstate = f" (SQLSTATE {letter.sqlstate})" if letter.sqlstate else ""
        say(f"{letter.error_class}{sqlstate}: {letter.error}")
    show_fields(
        {
            "what": letter.envelope.payload if letter.envelope is not None else _bytes(letter),
            "before an edit": _bytes(letter, original=True) if letter.original else None,
            "lane": f"{letter.lane}, number {letter.seq}",
            "who": letter.actor + (f": {letter.reason}" if letter.reason else ""),
            "answered at": "an address that is not shown" if report.has_reply_to else None,
            "enqueued": letter.enqueued_at,
            "first attempt": letter.first_attempt_at,
            "died": letter.finished_at,
            "attempts": letter.attempts,
            "worker": f"{letter.worker}, claim {letter.token}",
            "replays": letter.replays or None,
            "the row now": report.row_now,
            "left by": _newest(report),
            "a replay": would,
        }
    )
    if report.acts:
        show_table(("when", "who", "did", "why", "it had died of"), [_act(act) for act in report.acts])
    if letter.traceback:
        say(letter.traceback.rstrip())
    say("")


def _state(settings: Settings, name: str) -> str:
    try:
        with redis_client(settings) as redis:
            lane = LaneBook(redis, Keys(settings.prefix)).lane(name)
    except UnknownLane:
        return "which is empty"
    except Refused:
        return "which has no name that a lane can have"
    except (RedisError, ConfigurationError):
        return "of which nothing is known: Redis can't be asked"
    return _standing(lane)


def _standing(lane: Lane) -> str:
    waiting = f"where {lane.jobs:,} wait"
    if lane.hold is None:
        return f"{waiting}; it is {lane.state}"
    by = f" by {lane.hold.by}" if lane.hold.by else ""
    return f"{waiting}; it is held{by} ({lane.hold.why}) until `onelane lane resume {lane.name}`"


def _newest(report: Report) -> str | None:
    newest = report.outlook
    if newest.newest_id is None:
        return None
    return f"{newest.newest_kind} {newest.newest_id} ({newest.newest_status}) of {newest.newest_actor}"


def _act(act: Act) -> tuple[Any, ...]:
    details = act.details or {}
    error = ": ".join(str(details[name]) for name in ("code", "error") if name in details)
    return act.at, act.actor, act.act, act.reason, error.partition("\n")[0] or None


def _bytes(letter: Letter, *, original: bool = False) -> str:
    return (letter.before_edit if original else letter.job).decode(errors="replace")
