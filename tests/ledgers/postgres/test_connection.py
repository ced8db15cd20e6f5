from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import asyncpg
import pytest

from pinstripe.ledgers.postgres.connection import is_away
from pinstripe.postgres_address import read_postgres_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Postgres

BY_NETWORK = read_postgres_url("postgresql://app@db/app", "ledger")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "Connection refused"),
        OSError("Multiple exceptions: …"),  # of a name with several addresses, in asyncio's words
        TimeoutError(),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    ],
)
def test_what_may_pass_is_waited_for(error: Exception) -> None:
    assert is_away(error, BY_NETWORK)


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        FileNotFoundError(2, "No such file or directory"),
        PermissionError(13, "Permission denied"),
        ssl.SSLCertVerificationError("certificate verify failed"),
        ConnectionError("PostgreSQL server at db:5432 rejected SSL upgrade"),
        asyncpg.InvalidPasswordError("password authentication failed"),
        asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry"),
        asyncpg.InvalidCatalogNameError("database does not exist"),
        asyncpg.InsufficientPrivilegeError("permission denied for schema"),
        asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT"),
        asyncpg.exceptions.ClientConfigurationError("root certificate file does not exist"),
        RuntimeError(),
    ],
)
def test_what_has_to_be_mended_is_not(error: Exception) -> None:
    assert not is_away(error, BY_NETWORK)


def test_a_socket_is_made_by_the_server_and_its_folder_is_not(tmp_path: Path) -> None:
    missing = FileNotFoundError(2, "No such file or directory")
    assert is_away(missing, read_postgres_url(f"postgresql://app@/app?host={tmp_path}", "ledger"))
    assert not is_away(missing, read_postgres_url(f"postgresql://app@/app?host={tmp_path}/nowhere", "ledger"))


@pytest.mark.anyio
async def test_a_connection_that_breaks_in_a_transaction_is_what_may_pass(
    postgres: Postgres, postgres_database: str
) -> None:
    connection = await postgres.connect(postgres_database)
    with pytest.raises(asyncpg.InterfaceError) as caught:
        async with connection.transaction():
            await connection.execute("select pg_terminate_backend(pg_backend_pid())")
    assert is_away(caught.value, BY_NETWORK)
    with pytest.raises(asyncpg.InterfaceError) as caught:
        await connection.execute("select 1")
    assert is_away(caught.value, BY_NETWORK)
