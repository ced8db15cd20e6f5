"""Where this installation of the application keeps its things; each place can be moved by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def database_path() -> Path:
    """Give the file of the database, as Pinstripe is told it: `PINSTRIPE_DATABASE_URL`, or what pyproject.toml says."""
    url = os.environ.get("PINSTRIPE_DATABASE_URL") or "sqlite:///var/newsletter.db"
    return PROJECT / url.removeprefix("sqlite:///")


def backups_folder() -> Path:
    """Give the folder for backups: `NEWSLETTER_BACKUPS`, or `var/backups` in the project."""
    return Path(os.environ.get("NEWSLETTER_BACKUPS") or PROJECT / "var" / "backups")


def smtp_address() -> tuple[str, int]:
    """Give host and port of the mail server: `NEWSLETTER_SMTP` as `host:port`, or `127.0.0.1:2525`.

    Raises `ValueError` when the variable has another form.
    """
    text = os.environ.get("NEWSLETTER_SMTP") or "127.0.0.1:2525"
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal():
        message = f"expected NEWSLETTER_SMTP to be host:port, for example 127.0.0.1:2525; got {text!r}"
        raise ValueError(message)
    return host, int(port)
