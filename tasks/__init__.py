"""The domain: the jobs of the Triage Rotation Bot, on top of the engine."""

from tasks.caches import DropCaches, DropCachesAgain
from tasks.export import ExportFile
from tasks.membership import UpsertMembership
from tasks.overrides import ApproveOverride, DeclineOverride, RemoveOverride, RequestOverride
from tasks.rotation import (
    RecomputeRotation,
    RefreshRotation,
    RemindRotation,
    RoleChange,
    SetRoles,
    TransitionRotation,
)
from tasks.sprints import AppendSprint, ImportSprints, NumberedSprint, UpsertSprint
from tasks.users import MoveUser, RemoveUser, RenameUser, SetUserActive, SetUserDisciplines, UpsertUser

__all__ = [
    "AppendSprint",
    "ApproveOverride",
    "DeclineOverride",
    "DropCaches",
    "DropCachesAgain",
    "ExportFile",
    "ImportSprints",
    "MoveUser",
    "NumberedSprint",
    "RecomputeRotation",
    "RefreshRotation",
    "RemindRotation",
    "RemoveOverride",
    "RemoveUser",
    "RenameUser",
    "RequestOverride",
    "RoleChange",
    "SetRoles",
    "SetUserActive",
    "SetUserDisciplines",
    "TransitionRotation",
    "UpsertMembership",
    "UpsertSprint",
    "UpsertUser",
]
