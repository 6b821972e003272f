"""The way from any older schema to today's. The revisions travel with the package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from node.database.engine import WRITES

# Any number will do, as long as every process of every version takes the same one.
ADVISORY_LOCK = 0x61696E6F6465


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision. Several processes may do so at once: one works, the others wait."""
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        _lock(connection)
        command.upgrade(configuration(connection), "head")


def configuration(connection: Connection) -> Config:
    """Alembic's settings for work inside the transaction of ``connection``."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _lock(connection: Connection) -> None:
    """Until the transaction's end. In SQLite ``BEGIN IMMEDIATE`` has taken the only writer's place already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
