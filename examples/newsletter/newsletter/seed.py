"""Makes the application's database, the same each time: `python -m newsletter.seed`."""

from __future__ import annotations

import argparse
import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from newsletter import content, moments
from newsletter.places import PROJECT, database_path

SEED = 20_000
TENANTS = len(content.PLACES) * len(content.TRADES)
USERS = 20_000
INACTIVE = 6
SUBSCRIBED = 0.7
"""The share of users who are subscribed."""
SIGNED_IN = 0.3
"""The share of users who have a session."""

FAILING_TENANT = "harbour-books"
"""The tenant with a subscriber whose e-mail address is malformed, so that its newsletter fails."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant to make."""

    id: str
    name: str
    topics: tuple[str, ...]


def seed(path: Path, *, now: datetime, tenants: int = TENANTS, users: int = USERS) -> None:
    """Make a new database at `path` in place of what is there, with so many `tenants` and `users`.

    All depends on the arguments alone: times are some while before `now`. `harbour-books` is always among the tenants,
    and up to six others are inactive. Raises `ValueError` when there are fewer than four users for each tenant.
    """
    if not 1 <= tenants <= TENANTS or users < 4 * tenants:
        message = f"expected 1 to {TENANTS} tenants and at least 4 users for each, got {tenants} and {users}"
        raise ValueError(message)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
    random = Random(SEED)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((PROJECT / "newsletter" / "schema.sql").read_text(encoding="utf-8"))
        connection.executemany("insert into plans values (?, ?)", content.PLANS.items())
        chosen = _tenants(random, tenants)
        _add_tenants(connection, random, chosen)
        _add_users(connection, random, chosen, users, now)
        _add_newsletters(connection, random, chosen, now)
        _add_sessions(connection, random, now)
        connection.commit()
        connection.execute("pragma journal_mode = wal")


def _tenants(random: Random, count: int) -> list[Tenant]:
    every = [
        Tenant(_slug(f"{place}-{trade}"), f"{place} {trade}", topics)
        for place in content.PLACES
        for trade, topics in content.TRADES.items()
    ]
    [failing] = [tenant for tenant in every if tenant.id == FAILING_TENANT]
    every.remove(failing)
    return sorted([failing, *random.sample(every, count - 1)], key=lambda tenant: tenant.id)


def _add_tenants(connection: sqlite3.Connection, random: Random, tenants: list[Tenant]) -> None:
    others = [tenant.id for tenant in tenants if tenant.id != FAILING_TENANT]
    inactive = set(random.sample(others, min(INACTIVE, len(others) // 3)))
    connection.executemany(
        "insert into tenants values (?, ?, ?, ?, ?, ?)",
        [
            (
                tenant.id,
                tenant.name,
                random.choices(list(content.PLANS), (5, 4, 1))[0],
                tenant.id not in inactive,
                random.choice(content.TIME_ZONES),
                f"owner@{tenant.id}.example",
            )
            for tenant in tenants
        ],
    )


def _add_users(
    connection: sqlite3.Connection,
    random: Random,
    tenants: list[Tenant],
    count: int,
    now: datetime,
) -> None:
    # Everybody has a few, the rest falls where it falls: some tenants are three times as large as others.
    sizes = dict.fromkeys(tenants, count // (2 * len(tenants)))
    weights = [random.uniform(0.5, 2) for _ in tenants]
    for tenant in random.choices(tenants, weights, k=count - sum(sizes.values())):
        sizes[tenant] += 1
    rows: list[tuple[object, ...]] = []
    for tenant, size in sizes.items():
        for place in range(size):
            first, last = random.choice(content.FIRST_NAMES), random.choice(content.LAST_NAMES)
            malformed = tenant.id == FAILING_TENANT and place == size // 2
            at = "(at)" if malformed else "@"
            joined = now - timedelta(minutes=random.randrange(3 * 365 * 24 * 60))
            rows.append(
                (
                    tenant.id,
                    f"{first} {last}",
                    f"{_slug(first)}.{_slug(last)}.{place + 1}{at}{tenant.id}.example",
                    malformed or place == 0 or random.random() < SUBSCRIBED,
                    moments.written(joined),
                )
            )
    connection.executemany(
        "insert into users (tenant_id, name, email, subscribed, joined_at) values (?, ?, ?, ?, ?)", rows
    )


def _add_newsletters(connection: sqlite3.Connection, random: Random, tenants: list[Tenant], now: datetime) -> None:
    for tenant in tenants:
        for age, (segment, opening) in enumerate(content.SEGMENTS.items(), start=1):
            subject = f"{opening} at {tenant.name}: {random.choice(tenant.topics)}"
            published = moments.written(now - timedelta(days=age, minutes=random.randrange(600)))
            issue = connection.execute(
                "insert into issues (tenant_id, segment, number, subject, published_at) values (?, ?, ?, ?, ?)",
                (tenant.id, segment, random.randrange(1, 200), subject, published),
            ).lastrowid
            connection.executemany(
                "insert into articles (tenant_id, issue_id, headline, body) values (?, ?, ?, ?)",
                [(tenant.id, issue, *_article(random, topic)) for topic in tenant.topics],
            )


def _article(random: Random, topic: str) -> tuple[str, str]:
    headline = random.choice(content.HEADLINES).format(topic=topic)
    sentences = [sentence.format(topic=topic) for sentence in random.sample(content.SENTENCES, 5)]
    return headline[0].upper() + headline[1:], " ".join(sentences)


def _add_sessions(connection: sqlite3.Connection, random: Random, now: datetime) -> None:
    users: Iterator[tuple[int, str]] = connection.execute("select id, tenant_id from users order by id")
    connection.executemany(
        "insert into sessions (tenant_id, user_id, last_accessed_at) values (?, ?, ?)",
        [
            (tenant, user, moments.written(now - timedelta(seconds=random.randrange(2 * 60 * 60))))
            for user, tenant in users
            if random.random() < SIGNED_IN
        ],
    )


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^a-z0-9-]", "", plain.lower().replace(" ", "-"))


def main() -> None:
    """Make the database where the application expects it, and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m newsletter.seed", description=__doc__)
    parser.add_argument("--tenants", type=int, default=TENANTS, help="how many tenants (default: %(default)s)")
    parser.add_argument("--users", type=int, default=USERS, help="how many users (default: %(default)s)")
    options = parser.parse_args()
    path = database_path()
    seed(path, now=moments.now(), tenants=options.tenants, users=options.users)
    with closing(sqlite3.connect(path)) as connection:
        [(users, subscribers)] = connection.execute("select count(*), sum(subscribed) from users")
        [(tenants, active)] = connection.execute("select count(*), sum(active) from tenants")
    print(f"{path}: {tenants} tenants ({active} active), {users:,} users ({subscribers:,} subscribed)")


if __name__ == "__main__":
    main()
