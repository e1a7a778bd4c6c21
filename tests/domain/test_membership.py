"""Membership: an older look never replaces a newer one."""

from tasks import UpsertMembership
from tests.domain.conftest import Desk


def look(minute: int, *, is_member: bool) -> UpsertMembership:
    return UpsertMembership.model_validate(
        {"slack_id": "U0EXAMPLE01", "is_member": is_member, "checked_at": f"2030-01-03T12:{minute:02}:00+02:00"}
    )


def test_an_older_look_that_arrives_late_is_passed_over(desk: Desk) -> None:
    assert desk.do(look(5, is_member=True)).message == "<@U0EXAMPLE01> is in the admin channel."
    late = desk.do(look(4, is_member=False))
    assert (late.status, late.code) == ("unchanged", "not_newer")
    assert desk.do(look(5, is_member=False)).status == "unchanged"
    assert desk.do(look(6, is_member=False)).message == "<@U0EXAMPLE01> is not in the admin channel."
    (row,) = desk.rows("SELECT slack_id, is_member, checked_at::text FROM admin_channel_membership")
    assert row == {"slack_id": "U0EXAMPLE01", "is_member": False, "checked_at": "2030-01-03 10:06:00"}
    assert desk.audits() == []
