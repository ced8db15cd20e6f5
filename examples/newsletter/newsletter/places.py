"""Where this installation of the application keeps its things; each place can be moved by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def database_path() -> Path:
    """Give the file of the database: `NEWSLETTER_DATABASE`, or `var/newsletter.db` in the project."""
    return Path(os.environ.get("NEWSLETTER_DATABASE") or PROJECT / "var" / "newsletter.db")


def check_database(path: Path) -> None:
    """Raise `FileNotFoundError` when there is no database at `path`: SQLite would make one without tenants."""
    if not path.is_file():
        message = f"there is no database at {path}; make one with: python -m newsletter.seed"
        raise FileNotFoundError(message)


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
