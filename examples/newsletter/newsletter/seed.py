"""Makes the application's database, the same each time: `python -m newsletter.seed`."""

from __future__ import annotations

import argparse
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from sqlalchemy import Connection, func, insert, select

from newsletter import content, moments
from newsletter.database import open_database
from newsletter.models import Account, Article, Base, Issue, Plan, Session, User
from newsletter.places import database_path

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
    engine = open_database(path, "rwc")
    with engine.begin() as connection:
        Base.metadata.create_all(connection, checkfirst=False)
        prices = content.PLANS.items()
        connection.execute(insert(Plan), [{"name": name, "monthly_price": price} for name, price in prices])
        chosen = _tenants(random, tenants)
        _add_tenants(connection, random, chosen)
        _add_users(connection, random, chosen, users, now)
        _add_newsletters(connection, random, chosen, now)
        _add_sessions(connection, random, now)
    with engine.connect() as connection:
        connection.exec_driver_sql("pragma journal_mode = wal")  # stays with the file: who reads doesn't wait


def _tenants(random: Random, count: int) -> list[Tenant]:
    every = [
        Tenant(_slug(f"{place}-{trade}"), f"{place} {trade}", topics)
        for place in content.PLACES
        for trade, topics in content.TRADES.items()
    ]
    [failing] = [tenant for tenant in every if tenant.id == FAILING_TENANT]
    every.remove(failing)
    return sorted([failing, *random.sample(every, count - 1)], key=lambda tenant: tenant.id)


def _add_tenants(connection: Connection, random: Random, tenants: list[Tenant]) -> None:
    others = [tenant.id for tenant in tenants if tenant.id != FAILING_TENANT]
    inactive = set(random.sample(others, min(INACTIVE, len(others) // 3)))
    rows = [
        {
            "id": tenant.id,
            "name": tenant.name,
            "plan": random.choices(list(content.PLANS), (5, 4, 1))[0],
            "active": tenant.id not in inactive,
            "time_zone": random.choice(content.TIME_ZONES),
            "owner_email": f"owner@{tenant.id}.example",
        }
        for tenant in tenants
    ]
    connection.execute(insert(Account), rows)


def _add_users(
    connection: Connection,
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
    rows: list[dict[str, object]] = []
    for tenant, size in sizes.items():
        for place in range(size):
            first, last = random.choice(content.FIRST_NAMES), random.choice(content.LAST_NAMES)
            malformed = tenant.id == FAILING_TENANT and place == size // 2
            at = "(at)" if malformed else "@"
            joined = now - timedelta(minutes=random.randrange(3 * 365 * 24 * 60))
            rows.append(
                {
                    "tenant_id": tenant.id,
                    "name": f"{first} {last}",
                    "email": f"{_slug(first)}.{_slug(last)}.{place + 1}{at}{tenant.id}.example",
                    "subscribed": malformed or place == 0 or random.random() < SUBSCRIBED,
                    "joined_at": joined,
                }
            )
    connection.execute(insert(User), rows)


def _add_newsletters(connection: Connection, random: Random, tenants: list[Tenant], now: datetime) -> None:
    issues: list[dict[str, object]] = []
    articles: list[dict[str, object]] = []
    for tenant in tenants:
        for age, (segment, opening) in enumerate(content.SEGMENTS.items(), start=1):
            issue: dict[str, object] = {
                "id": len(issues) + 1,
                "tenant_id": tenant.id,
                "segment": segment,
                "subject": f"{opening} at {tenant.name}: {random.choice(tenant.topics)}",
                "published_at": now - timedelta(days=age, minutes=random.randrange(600)),
                "number": random.randrange(1, 200),
            }
            issues.append(issue)
            for topic in tenant.topics:
                headline, body = _article(random, topic)
                articles.append({"tenant_id": tenant.id, "issue_id": issue["id"], "headline": headline, "body": body})
    connection.execute(insert(Issue), issues)
    connection.execute(insert(Article), articles)


def _article(random: Random, topic: str) -> tuple[str, str]:
    headline = random.choice(content.HEADLINES).format(topic=topic)
    sentences = [sentence.format(topic=topic) for sentence in random.sample(content.SENTENCES, 5)]
    return headline[0].upper() + headline[1:], " ".join(sentences)


def _add_sessions(connection: Connection, random: Random, now: datetime) -> None:
    rows = [
        {
            "tenant_id": tenant,
            "user_id": user,
            "last_accessed_at": now - timedelta(seconds=random.randrange(2 * 60 * 60)),
        }
        for user, tenant in connection.execute(select(User.id, User.tenant_id).order_by(User.id))
        if random.random() < SIGNED_IN
    ]
    connection.execute(insert(Session), rows)


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
    with open_database(path, "ro").connect() as connection:
        counted = func.count()
        users, subscribers = connection.execute(select(counted, counted.filter(User.subscribed))).one()
        tenants, active = connection.execute(select(counted, counted.filter(Account.active))).one()
    print(f"{path}: {tenants} tenants ({active} active), {users:,} users ({subscribers:,} subscribed)")


if __name__ == "__main__":
    main()
