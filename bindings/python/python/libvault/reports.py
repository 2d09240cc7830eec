"""What `libvault.doctor` and `libvault.salvage` report: dicts with these members."""

from typing import Literal, TypedDict

__all__ = ["AuditState", "Content", "DamagedSecret", "Finding", "Report", "SalvageReport"]


class Finding(TypedDict):
    """One thing that was found: its stable name, what it is, and what to do."""

    severity: Literal["info", "warning", "damage", "fatal"]
    name: str
    what: str
    advice: str


class AuditState(TypedDict):
    """The audit log: events in the chain, events outside of it, events that are lost, and the number of the first bad one."""

    chained: int
    unchained: int
    lost: int
    first_bad: int | None


class DamagedSecret(TypedDict):
    """A secret of which some versions cannot be read."""

    mount: str
    path: str
    lost: list[int]
    readable: int


class Content(TypedDict):
    """What is in a store, where a key was given and opens it. ``damaged`` names secrets where ``names`` was asked for."""

    slot: int
    records: int
    unreadable: int
    orphans: int
    namespaces: int
    namespaces_lost: int
    lost_namespaces: list[str]
    digest_agrees: bool
    secrets: int
    secrets_damaged: int
    nameless: int
    damaged: list[DamagedSecret]
    policies_lost: int
    system_lost: list[str]
    audit: AuditState


class Report(TypedDict):
    """What an examination found; ``text`` is all of it to read."""

    verdict: Literal["sound", "degraded", "damaged", "unreadable"]
    advice: str
    findings: list[Finding]
    backend: str | None
    in_use: bool
    pid: int | None
    bytes: int
    segments: int
    opens: bool
    commit: int | None
    acknowledged: int
    vault: str | None
    created: str | None
    slots: list[str]
    content: Content | None
    text: str


class SalvageReport(TypedDict):
    """What a salvage has taken, and what was lost; ``text`` is all of it to read."""

    complete: bool
    commits_lost: int
    records: int
    records_lost: int
    digest_agrees: bool
    orphans: int
    namespaces: int
    namespaces_lost: int
    lost_namespaces: list[str]
    gaps: int
    secrets: int
    secrets_damaged: int
    secrets_lost: int
    damaged: list[DamagedSecret]
    nameless: int
    nameless_mount: str | None
    policies_lost: int
    tokens_dropped: int
    entities_disabled: int
    remade: list[str]
    header_remade: bool
    audit: AuditState
    text: str
