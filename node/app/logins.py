"""Accounts and sessions over the node's database."""

from __future__ import annotations

from node.admin.accounts import Logins
from node.app.records import Records
from node.database.accounts import SqlAccounts


def logins(records: Records, actor: str) -> Logins:
    """``actor`` is who adds and disables accounts, for the log of uses."""
    return Logins(SqlAccounts(records.engine, records.clock, actor), records.clock)
