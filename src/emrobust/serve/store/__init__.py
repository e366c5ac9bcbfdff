"""What the service must not lose: predictions, feedback, jobs, keys, model versions, the audit log.

`open_store` gives a `Store`; `jobs`, `keys` and `versions` are functions over its ``database``.
No text of a record is in any table unless the hospital gives a key for it.
"""

from __future__ import annotations

from emrobust.serve.store.chain import Anchor, Verified, read_anchor, verify, write_anchor
from emrobust.serve.store.database import Database, connect, is_absent
from emrobust.serve.store.entries import Event, Feedback, Prediction
from emrobust.serve.store.erasure import erase
from emrobust.serve.store.keys import ApiKey
from emrobust.serve.store.migrate import upgrade
from emrobust.serve.store.store import Store, StoreSettings, open_store

__all__ = [
    "Anchor",
    "ApiKey",
    "Database",
    "Event",
    "Feedback",
    "Prediction",
    "Store",
    "StoreSettings",
    "Verified",
    "connect",
    "erase",
    "is_absent",
    "open_store",
    "read_anchor",
    "upgrade",
    "verify",
    "write_anchor",
]
