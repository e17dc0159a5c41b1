"""bin/rails: `db:prepare` and `server`."""

import base64
import hashlib
import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

import prepare
from strata import DATABASES, RELEASE, STORAGE, boot_check, connect, release_at_least, require

BOOTED = time.monotonic()


def truthy(name):
    return os.environ.get(name, "").lower() in ("1", "true")


class Pool:
    """Sessions that requests take and give back, as Active Record keeps them: one that stood idle is tried first."""

    def __init__(self):
        self.lock = threading.Lock()
        self.idle = {role: [] for role in DATABASES}

    @contextmanager
    def session(self, role):
        session = self.taken(role)
        try:
            with session:
                yield session
        finally:
            if not session.closed:
                with self.lock:
                    self.idle[role].append((session, time.monotonic()))

    def taken(self, role):
        while True:
            with self.lock:
                session, since = self.idle[role].pop() if self.idle[role] else (None, 0)
            if session is None:
                return connect(DATABASES[role])
            if time.monotonic() - since < 2 or self.answers(session):
                return session

    @staticmethod
    def answers(session):
        try:
            with session, session.cursor() as cursor:
                cursor.execute("SELECT 1")
            return True
        except psycopg2.Error:
            session.close()
            return False


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pool = Pool()

    def answer(self, status, body, headers=()):
        data = body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refused(self):
        """Host authorization: names that the site does not know get nothing, `/up` included."""
        known = os.environ.get("STAND_IN_HOSTS", "").split()
        if known and self.headers.get("Host", "").split(":")[0] not in known:
            self.answer(403, "Blocked hosts")
            return True
        return False

    def redirected(self):
        if truthy("FORCE_SSL") and self.headers.get("X-Forwarded-Proto") != "https":
            host = self.headers.get("Host", "")
            self.answer(301, "", [("Location", f"https://{host}{self.path}")])
            return True
        return False

    def do_GET(self):
        if self.refused() or self.redirected():
            return
        if self.path == "/up":
            # Without a look at the database, as in the product.
            if RELEASE == "1.2.0":
                print("ActionView::Template::Error (The asset 'application.css' was not found in the load path.)",
                      flush=True)
                return self.answer(500, "red")
            return self.answer(200, "green")
        if self.path == "/version":
            return self.answer(200, RELEASE)
        if self.path.startswith("/orders/"):
            with self.pool.session("primary") as session, session.cursor() as cursor:
                cursor.execute("SELECT 1 FROM orders WHERE key = %s", (self.path.rsplit("/", 1)[1],))
                return self.answer(200 if cursor.fetchone() else 404, "")
        return self.answer(404, "")

    def do_POST(self):
        if self.refused() or self.redirected():
            return
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        try:
            self.place(body)
        except psycopg2.Error as error:
            print(f"ActiveRecord::StatementInvalid ({str(error).strip()})", flush=True)
            self.answer(500, "")

    def place(self, body):
        """The order first, its job second: two databases, two commits, as in the product."""
        key = body["key"]
        with self.pool.session("primary") as session, session.cursor() as cursor:
            if release_at_least("1.1.0"):
                cursor.execute("INSERT INTO orders (key, channel) VALUES (%s, 'web') RETURNING id", (key,))
            else:
                cursor.execute("INSERT INTO orders (key, note) VALUES (%s, 'from web') RETURNING id", (key,))
            order = cursor.fetchone()[0]
            if body.get("file"):
                self.keep(cursor, key, body["file"].encode())
        with self.pool.session("queue") as session, session.cursor() as cursor:
            cursor.execute("INSERT INTO solid_queue_jobs (class_name, order_id) VALUES ('OrderJob', %s)", (order,))
        self.answer(201, str(order))

    @staticmethod
    def keep(cursor, key, data):
        """Active Storage's disk service: two levels of folders named after the key."""
        name = hashlib.sha256(key.encode()).hexdigest()[:28]
        folder = os.path.join(STORAGE, name[:2], name[2:4])
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
        checksum = base64.b64encode(hashlib.md5(data).digest()).decode()
        cursor.execute("INSERT INTO active_storage_blobs (key, filename, byte_size, checksum) VALUES (%s, %s, %s, %s)",
                       (name, "note.txt", len(data), checksum))

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def die():
    time.sleep(5)
    print("[1] ! Terminating timed out worker: out of memory (Errno::ENOMEM)", file=sys.stderr, flush=True)
    os._exit(1)


def serve():
    boot_check()
    time.sleep(max(0.0, float(os.environ.get("STAND_IN_BOOT_SECONDS", "2")) - (time.monotonic() - BOOTED)))
    server = Server(("", int(os.environ.get("STRATA_CONTAINER_PORT") or "80")), Web)

    def stop(*_):
        # Puma drains for a while before it lets go.
        print("- Gracefully stopping, waiting for requests to finish", flush=True)
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if RELEASE == "1.5.0":
        threading.Thread(target=die, daemon=True).start()
    print(f"=> Booting Puma\n=> Strata {RELEASE} application starting in production", flush=True)
    server.serve_forever(poll_interval=0.2)
    time.sleep(float(os.environ.get("STAND_IN_STOP_SECONDS", "5")))
    print("- Goodbye!", flush=True)


if __name__ == "__main__":
    task = sys.argv[1] if len(sys.argv) > 1 else ""
    if RELEASE == "1.7.0" or (RELEASE == "1.7.1" and task == "server"):
        require("STRATA_MAIL_FROM")
    if task == "db:prepare":
        prepare.prepare()
    elif task == "server":
        serve()
    else:
        sys.exit(f"Unrecognized command \"{task}\"")
