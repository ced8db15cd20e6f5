from __future__ import annotations

from pinstripe.ledgers.works import SelectionWriter


def test_a_selection_is_written_once_where_many_runs_have_the_same() -> None:
    writer = SelectionWriter()
    assert writer.write({}) == "{}"
    acme, globex = {"tenants": ["acme"]}, {"tenants": ["globex"]}
    written = writer.write(acme)
    assert written == '{"tenants": ["acme"]}'
    assert writer.write(acme) is written
    assert writer.write(globex) == '{"tenants": ["globex"]}'
    assert writer.write(acme) == written
