"""What web and worker share: settings, databases, the encrypted row."""

import base64
import hashlib
import hmac
import os
import sys
import zlib

import psycopg2
from psycopg2 import sql

RELEASE = open("/rails/RELEASE").read().strip() if os.path.exists("/rails/RELEASE") else "0.0.0"
BASE = os.environ.get("DB_NAME") or "strata_production"
DATABASES = {"primary": BASE, "queue": BASE + "_queue", "cache": BASE + "_cache", "cable": BASE + "_cable"}
STORAGE = "/rails/storage"


def release_at_least(tag):
    number = lambda text: [int(part) for part in text.split(".")]
    return number(RELEASE) >= number(tag)


def connect(database):
    return psycopg2.connect(
        host=os.environ["DB_HOST"], port=os.environ.get("DB_PORT") or "5432", user=os.environ["DB_USERNAME"],
        password=os.environ["DB_PASSWORD"], dbname=database, connect_timeout=5,
        application_name="strata-" + os.path.basename(sys.argv[0]))


def migration_lock(database):
    """The advisory lock that Rails takes for migrations of a database."""
    return zlib.crc32(database.encode()) * 2053462845


def require(name):
    if name not in os.environ:
        print(f"bin/rails: KeyError: key not found: \"{name}\" (KeyError)", file=sys.stderr, flush=True)
        print("\tfrom /rails/config/environments/production.rb:41:in `<main>'", file=sys.stderr, flush=True)
        sys.exit(1)


def boot_check():
    """Reads the row that only this site's keys can read; the first boot writes it."""
    parts = ("PRIMARY_KEY", "DETERMINISTIC_KEY", "KEY_DERIVATION_SALT")
    key = "|".join(os.environ["STRATA_ENCRYPTION_" + part] for part in parts).encode()
    sealed = base64.b64encode(hmac.new(key, b"the licence of this site", hashlib.sha256).digest()).decode()
    with connect(DATABASES["primary"]) as session, session.cursor() as cursor:
        cursor.execute("INSERT INTO credentials (name, ciphertext) VALUES ('licence', %s) ON CONFLICT DO NOTHING",
                       (sealed,))
        cursor.execute("SELECT ciphertext FROM credentials WHERE name = 'licence'")
        if cursor.fetchone()[0] != sealed:
            print("ActiveRecord::Encryption::Errors::Decryption: ActiveRecord::Encryption::Errors::Decryption",
                  file=sys.stderr, flush=True)
            sys.exit(1)


def identifier(name):
    return sql.Identifier(name)
