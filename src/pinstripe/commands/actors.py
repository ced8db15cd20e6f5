"""Who types a command, as the audit trail names them."""

from __future__ import annotations

import os

from pinstripe.actor import Actor, Door


def whoever_types() -> Actor:
    """Give the user of the operating system that this process runs as, as an actor who came by the command line."""
    uid = os.getuid()
    try:
        import pwd

        name = pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):  # as in a container, whose users nobody has written down
        name = f"user {uid}"
    return Actor(Door.CLI, name)
