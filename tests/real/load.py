"""Four clients that place fifty orders a second each, as web does: the order in the primary database with its uploaded
file, and once that is committed its job in the queue. Runs where web runs, until somebody makes `/tmp/enough`."""

import os
import sys
import threading
import time

sys.path.insert(0, "/rails/lib")
from rails import Web
from strata import DATABASES, connect

NAME, PAUSE = sys.argv[1], 1 / 50
placed = [0] * 4


def client(number):
    primary, queue = connect(DATABASES["primary"]), connect(DATABASES["queue"])
    while not os.path.exists("/tmp/enough"):
        began = time.monotonic()
        key = f"{NAME}-{number}-{placed[number]}"
        with primary, primary.cursor() as cursor:
            cursor.execute("INSERT INTO orders (key) VALUES (%s) RETURNING id", (key,))
            order = cursor.fetchone()[0]
            if placed[number] % 10 == 0:
                Web.keep(cursor, key, f"content of {key}".encode())
        with queue, queue.cursor() as cursor:
            cursor.execute("INSERT INTO solid_queue_jobs (class_name, order_id) VALUES ('OrderJob', %s)", (order,))
        placed[number] += 1
        time.sleep(max(0.0, PAUSE - (time.monotonic() - began)))


clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
began = time.monotonic()
for one in clients:
    one.start()
for one in clients:
    one.join()
print(sum(placed), time.monotonic() - began)
