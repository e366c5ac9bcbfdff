"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from emrobust.serve.store.keys import ROLES, Role


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        actor: what the store's rows and the audit log have: a key's prefix, or a subject.
        role: clinician, reviewer or administrator.
        name: to show.
    """

    actor: str
    role: Role
    name: str

    def allows(self, role: Role) -> bool:
        """Whether this caller may do what the role may."""
        return ROLES.index(self.role) >= ROLES.index(role)
