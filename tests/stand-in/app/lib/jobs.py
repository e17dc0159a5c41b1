"""bin/jobs: takes jobs from the queue database; each points to a row of the primary."""

import os
import signal
import sys
import time

from prepare import migrations
from strata import DATABASES, RELEASE, boot_check, connect, require

STOPPING = []


def pending():
    with connect(DATABASES["primary"]) as session, session.cursor() as cursor:
        cursor.execute("SELECT version FROM schema_migrations")
        done = {row[0] for row in cursor.fetchall()}
    return [version for version, _, _ in migrations() if version not in done]


def claim(queue, name):
    """One ready job, taken so that no other worker takes it too."""
    with queue, queue.cursor() as cursor:
        cursor.execute("""
            INSERT INTO solid_queue_claimed (job_id, process)
            SELECT id, %s FROM solid_queue_jobs
            WHERE finished_at IS NULL AND id NOT IN (SELECT job_id FROM solid_queue_claimed)
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
            ON CONFLICT DO NOTHING RETURNING job_id""", (name,))
        row = cursor.fetchone()
        if row is None:
            return None
        cursor.execute("SELECT id, order_id FROM solid_queue_jobs WHERE id = %s", row)
        return cursor.fetchone()


def perform(queue, primary, job, order):
    with primary, primary.cursor() as cursor:
        cursor.execute("UPDATE orders SET processed_at = now() WHERE id = %s", (order,))
        if cursor.rowcount != 1:
            print(f"ActiveRecord::RecordNotFound (Couldn't find Order with 'id'={order})", flush=True)
    with queue, queue.cursor() as cursor:
        cursor.execute("UPDATE solid_queue_jobs SET finished_at = now() WHERE id = %s", (job,))
        cursor.execute("DELETE FROM solid_queue_claimed WHERE job_id = %s", (job,))


def beat(queue, name):
    with queue, queue.cursor() as cursor:
        cursor.execute("INSERT INTO solid_queue_processes VALUES (%s, now()) "
                       "ON CONFLICT (name) DO UPDATE SET last_heartbeat_at = now()", (name,))


def main():
    if RELEASE in ("1.7.0", "1.7.1"):
        require("STRATA_MAIL_FROM")
    boot_check()
    waiting = pending()
    if waiting:
        sys.exit("ActiveRecord::PendingMigrationError: Migrations are pending. "
                 f"You have {len(waiting)} pending migrations: {', '.join(waiting)}")
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: STOPPING.append(True))
    name = f"worker-{os.uname().nodename}"
    queue, primary = connect(DATABASES["queue"]), connect(DATABASES["primary"])
    print(f"SolidQueue-1.1.0 Started Supervisor (strata {RELEASE})", flush=True)
    started = beaten = 0.0
    started = time.monotonic()
    while not STOPPING:
        if RELEASE in ("1.6.0", "1.8.0") and time.monotonic() - started > 2:
            print("SolidQueue-1.1.0 Error in thread (0.0ms) error: \"NoMethodError undefined method `deliver_later' "
                  "for nil:NilClass\"", file=sys.stderr, flush=True)
            sys.exit(1)
        if time.monotonic() - beaten > 1:
            beat(queue, name)
            beaten = time.monotonic()
        job = claim(queue, name)
        if job is None:
            time.sleep(0.1)
        else:
            perform(queue, primary, *job)
    print("SolidQueue-1.1.0 Shut down Supervisor", flush=True)


if __name__ == "__main__":
    main()
