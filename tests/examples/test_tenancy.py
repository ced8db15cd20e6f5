from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.examples.conftest import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("page", [1, 4, 6, 1_000])
async def test_all_tenants_come_once_whatever_the_page(
    database_file: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    from newsletter import tenancy

    monkeypatch.setattr(tenancy, "PAGE", page)
    tenants = [tenant async for tenant in tenancy.tenants()]

    ids = [str(tenant["id"]) for tenant in tenants]
    assert len(ids) == 6
    assert ids == sorted(set(ids))
    assert [tenant["active"] for tenant in tenants].count(False) == 1
    assert set(tenants[0]) == {"id", "name", "plan", "active", "time_zone", "owner_email"}


async def test_a_missing_database_is_an_error_and_never_no_tenants(tmp_path: Path) -> None:
    from newsletter import tenancy

    with pytest.raises(FileNotFoundError, match="there is no database at"):
        [tenant async for tenant in tenancy.tenants()]
    assert not (tmp_path / "newsletter.db").exists()


@pytest.mark.usefixtures("database_file")
def test_check_finds_nothing_wrong_with_the_example() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pinstripe", "check", "--project", str(PROJECT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Everything looks right.\n", "")
