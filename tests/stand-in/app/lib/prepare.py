"""db:prepare: creates what is missing, loads what is empty, migrates the rest. Says nothing until it has ended."""

import os
import re
import sys
import time

import psycopg2
from psycopg2 import sql

from strata import DATABASES, STORAGE, connect, migration_lock

QUEUE = """
CREATE TABLE solid_queue_jobs (id bigserial PRIMARY KEY, class_name text NOT NULL, order_id bigint NOT NULL,
    finished_at timestamptz, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE solid_queue_claimed (job_id bigint PRIMARY KEY, process text NOT NULL, claimed_at timestamptz DEFAULT now());
CREATE TABLE solid_queue_processes (name text PRIMARY KEY, last_heartbeat_at timestamptz NOT NULL);
"""
CACHE = "CREATE TABLE solid_cache_entries (id bigserial PRIMARY KEY, key bytea NOT NULL, value bytea NOT NULL);"
CABLE = "CREATE TABLE solid_cable_messages (id bigserial PRIMARY KEY, channel bytea NOT NULL, payload bytea NOT NULL);"
SCHEMAS = {"queue": QUEUE, "cache": CACHE, "cable": CABLE}


def migrations():
    """(version, name, statements) of this image, in order."""
    found = []
    for name in sorted(os.listdir("/rails/db/migrate")):
        parts = re.fullmatch(r"(\d{14})_(\w+)\.rb", name)
        if parts:
            with open(os.path.join("/rails/db/migrate", name)) as file:
                found.append((parts[1], parts[2], file.read().replace("@SECONDS@", migration_seconds())))
    return found


def migration_seconds():
    """How long the slow migrations take, as a number that SQL reads."""
    return repr(float(os.environ.get("STAND_IN_MIGRATION_SECONDS") or "90"))


def ensure(database):
    """A missing database is created without a word: that is the product's way, and a trap."""
    try:
        connect(database).close()
        return
    except psycopg2.OperationalError as error:
        if "does not exist" not in str(error):
            raise
    session = connect("postgres")
    session.autocommit = True
    with session.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    session.close()


def migrated(cursor):
    cursor.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version varchar PRIMARY KEY)")
    cursor.execute("SELECT version FROM schema_migrations")
    return {row[0] for row in cursor.fetchall()}


def load_small(role, database, said):
    with connect(database) as session, session.cursor() as cursor:
        if not migrated(cursor):
            cursor.execute(SCHEMAS[role])
            cursor.execute("INSERT INTO schema_migrations VALUES ('1')")
            said.append(f"== {database}: schema loaded")


def migrate(database, said):
    session = connect(database)
    session.autocommit = True
    with session.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (migration_lock(database),))
        if not cursor.fetchone()[0]:
            print("ActiveRecord::ConcurrentMigrationError: Cannot run migrations because another migration process "
                  "is currently running.", file=sys.stderr, flush=True)
            sys.exit(1)
        done = migrated(cursor)
    for version, name, statements in migrations():
        if version in done:
            continue
        try:
            apply(session, version, statements)
        except psycopg2.Error as error:
            print("\n".join([*said, "bin/rails aborted!", "StandardError: An error has occurred, this and all later "
                             "migrations canceled:", "", f"PG::{type(error).__name__}: {str(error).strip()}"]),
                  file=sys.stderr, flush=True)
            sys.exit(1)
        if name.startswith("make_channel"):
            purge_oldest()
        said.append(f"== {version} {name}: migrated")
        time.sleep(0.3)
    session.close()


def purge_oldest():
    """What a migration does that calls `purge`: the file is gone, whatever becomes of the transaction."""
    files = [os.path.join(folder, name) for folder, _, names in os.walk(STORAGE) for name in names]
    for path in sorted(files, key=os.path.getmtime)[:1]:
        os.remove(path)


def apply(session, version, statements):
    """One migration and its row in one transaction, or each for itself where the file asks for that."""
    session.autocommit = "disable_ddl_transaction!" in statements
    with session.cursor() as cursor:
        cursor.execute(statements)
        cursor.execute("INSERT INTO schema_migrations VALUES (%s)", (version,))
    if not session.autocommit:
        session.commit()


def prepare():
    said = []
    for database in DATABASES.values():
        ensure(database)
    migrate(DATABASES["primary"], said)
    for role in SCHEMAS:
        load_small(role, DATABASES[role], said)
    if said:
        print("\n".join(said), flush=True)
