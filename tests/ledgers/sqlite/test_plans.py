"""Every hot statement goes by the index that was made for it: what a ledger keeps for months costs nobody anything.

SQLite has no statistics of a ledger (nothing ever runs ANALYZE), so its plans are the same for an empty one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pinstripe.ledgers.sqlite.connection import connect
from pinstripe.ledgers.sqlite.schema import migrate
from pinstripe.ledgers.sqlite.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

# What a statement reads first, and by what. A row's own number is the fastest way there is.
BY_NUMBER = "USING INTEGER PRIMARY KEY (rowid=?)"
HOT = {
    "may_start": f"SEARCH r {BY_NUMBER}",
    "open_runs_of_owner": "SEARCH runs USING INDEX runs_open (owner=?)",
    "counted_in": f"SEARCH runs {BY_NUMBER}",
    "settled": f"SEARCH runs {BY_NUMBER}",
    "counts": f"SEARCH runs {BY_NUMBER}",
    "run_number": "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id=?)",
    "run_by_id": "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id=?)",
    "runs_by_end_of_id": "SEARCH runs USING INDEX sqlite_autoindex_runs_2 (reversed_id>? AND reversed_id<?)",
    "last_run": "SCAN runs",  # from its end, and no further than the first that no job has started
    "last_run_of_job": "SEARCH runs USING INDEX runs_by_job (job=?)",
    "failures": "SEARCH executions USING INDEX executions_failed (run=?)",
    "failures_without_tracebacks": "SEARCH executions USING INDEX executions_failed (run=?)",
    "start_executions": "SEARCH executions USING INDEX executions_of_run (run=? AND tenant=?)",
    "settle_plain": f"SEARCH executions {BY_NUMBER}",
    "settle_one": f"SEARCH executions {BY_NUMBER}",
    "end_executions": f"SEARCH executions {BY_NUMBER}",
    "open_executions": "SEARCH executions USING INDEX executions_of_run (run=? AND tenant>?)",
    "queued_tenants": "SEARCH executions USING INDEX executions_of_run (run=? AND tenant>?)",
    "retryable_failed": "SEARCH x USING COVERING INDEX executions_failed (run=? AND tenant>?)",
    "retryable_cancelled": "SEARCH x USING COVERING INDEX executions_cancelled (run=? AND tenant>?)",
    "retryable_skipped": "SEARCH x USING COVERING INDEX executions_skipped (run=? AND tenant>?)",
    "find_execution": "SEARCH x USING INDEX executions_of_run (run=? AND tenant=?)",
    "succeeded": "SEARCH x USING INDEX executions_of_run (run=? AND tenant=?)",
    "listed_by_number": "SEARCH runs USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    "listed_by_job": "SEARCH runs USING INDEX runs_by_job (job=? AND n>? AND n<?)",
    "listed_by_state": "SEARCH runs USING INDEX runs_by_state (state=? AND n>? AND n<?)",
    "listed_by_tenant": "SEARCH executions USING COVERING INDEX executions_of_tenant (tenant=? AND run>? AND run<?)",
    "listed_by_size": "SEARCH runs USING INDEX runs_large (n>? AND n<?)",
    "next_pruned": "SCAN runs USING COVERING INDEX runs_pruning",  # it has only those, and one is taken
    "executions_to_prune": "SEARCH executions USING COVERING INDEX executions_of_run (run=?)",
    "prune_executions": f"SEARCH executions {BY_NUMBER}",
    "prune_logs": f"SEARCH logs {BY_NUMBER}",
    "prune_run": f"SEARCH runs {BY_NUMBER}",
    "old_local_fires": "SEARCH local_fires USING PRIMARY KEY (schedule=? AND local_time=? AND tenant=?)",
    "old_zones": "SEARCH schedule_zones USING PRIMARY KEY (schedule=? AND zone=?)",
    "old_schedules": f"SEARCH schedules {BY_NUMBER}",
    # The queue's: enqueue, claim, settle, due, limits, guards, pauses, cancel, sweep and status.
    "run_of_key": "SEARCH runs USING COVERING INDEX runs_by_key (job=? AND key_tenant=? AND key=?)",
    "next_tag": f"SEARCH bands {BY_NUMBER}",
    "unguarded": "SCAN json_each VIRTUAL TABLE INDEX 1:",
    "select_executions": "SCAN json_each VIRTUAL TABLE INDEX 1:",
    "select_spread": "SCAN json_each VIRTUAL TABLE INDEX 1:",
    "note_local_time": "SCAN json_each VIRTUAL TABLE INDEX 1:",
    "number_of_schedule": "SEARCH schedules USING COVERING INDEX sqlite_autoindex_schedules_1 (job=? AND key=?)",
    "facts_of_run": f"SEARCH runs {BY_NUMBER}",
    "take_tickets": "SCAN chunks USING INDEX chunks_in_order",  # from its start, and no further than there are slots
    "start_chunks": "SEARCH executions USING COVERING INDEX executions_ready (chunk=?)",
    "start_some": f"SEARCH executions {BY_NUMBER}",
    "start_ids": f"SEARCH executions {BY_NUMBER}",
    "candidates": "SEARCH x USING INDEX executions_ready (chunk=?)",
    "hold": f"SEARCH executions {BY_NUMBER}",
    "move_chunk": f"SEARCH chunks {BY_NUMBER}",
    "empty_chunks": f"SEARCH chunks {BY_NUMBER}",
    "runs_begun": "SEARCH runs USING COVERING INDEX runs_by_state (state=? AND n=?)",
    "runs_to_work": f"SEARCH runs {BY_NUMBER}",
    "settle_mixed": f"SEARCH executions {BY_NUMBER}",
    "settle_worker": f"SEARCH executions {BY_NUMBER}",
    "requeue": f"SEARCH executions {BY_NUMBER}",
    "end_ids": f"SEARCH executions {BY_NUMBER}",
    "due_executions": "SEARCH executions USING INDEX executions_due (due_at<?)",
    "make_ready": f"SEARCH executions {BY_NUMBER}",
    "limits_of": "SEARCH limits USING PRIMARY KEY (job=?)",
    "slots_of_job": "SEARCH slots USING COVERING INDEX slots_of_job (job=?)",
    "slots_of_tenant": "SEARCH slots USING COVERING INDEX slots_of_job (job=? AND tenant=?)",
    "free_slots": f"SEARCH slots {BY_NUMBER}",
    "first_limited": "SEARCH executions USING INDEX executions_limited (job=?)",
    "uncap": f"SEARCH executions {BY_NUMBER}",
    "free_guards": "SEARCH guards USING INDEX sqlite_autoindex_guards_1 (execution=?)",
    "next_overlapping": "SEARCH x USING INDEX executions_overlapping (job=? AND tenant=?)",
    "next_paused": "SEARCH executions USING COVERING INDEX executions_paused ((job,tenant)>(?,?))",
    "paused_of_tenant": "SEARCH executions USING INDEX executions_paused (job=? AND tenant=?)",
    "stopped_runs": "SCAN runs USING INDEX runs_stopping",  # and this only those whose end was asked for
    "some_of_run": "SEARCH executions USING INDEX executions_of_run (run=? AND tenant>?)",
    "ready_of_run": f"SEARCH r {BY_NUMBER}",
    "selecting_runs": "SCAN runs USING INDEX runs_to_select",  # it has only those
    "running_of_owner": "SEARCH x USING COVERING INDEX executions_running (owner=?)",
    "give_back": "SEARCH executions USING COVERING INDEX executions_running (owner=?)",
    "waiting_by_band": "SCAN chunks USING COVERING INDEX chunks_in_order",  # it has only what waits
    "held_counts": "SCAN executions USING COVERING INDEX executions_held",  # and this only what is held
    "held_of_run": "SEARCH executions USING COVERING INDEX executions_held (run=? AND held>?)",
    "running_by_owner": "SCAN executions USING COVERING INDEX executions_running",
    # What schedules should have let run: from the open runs of schedules, or from the schedules and their last fires.
    "late_selecting": "SEARCH r USING INDEX runs_of_schedules (scheduled_for<?)",
    "late_due": "SEARCH r USING INDEX runs_of_schedules (scheduled_for<?)",
    "late_held": "SEARCH r USING INDEX runs_of_schedules (scheduled_for<?)",
    "late_ready": "SEARCH r USING INDEX runs_of_schedules (scheduled_for<?)",
    "late_ready_alone": "SEARCH r USING INDEX runs_of_schedules (scheduled_for<?)",
    "troubled_fires": "SCAN s",
    "unfinished_fires": "SEARCH runs USING INDEX runs_of_schedules (scheduled_for<?)",
    # What those who look back ask for.
    "floor_of_job": "SEARCH runs USING COVERING INDEX runs_by_job (job=? AND n>? AND n<?)",
    "floor_of_state": "SEARCH runs USING COVERING INDEX runs_by_state (state=? AND n>? AND n<?)",
    "floor_of_tenant": "SEARCH executions USING COVERING INDEX executions_of_tenant (tenant=? AND run>? AND run<?)",
    "floor_of_size": "SEARCH runs USING INDEX runs_large (n>? AND n<?)",
    "executions_by_run": "SEARCH x USING INDEX executions_of_run (run=? AND tenant>?)",
    "executions_by_failed": "SEARCH x USING INDEX executions_failed (run=? AND tenant>?)",
    "executions_by_running": "SEARCH x USING INDEX executions_running (owner=? AND run=?)",
    "executions_until": "SEARCH x USING INDEX executions_of_run (run=? AND tenant>? AND tenant<?)",
    "tenants_by_run": "SEARCH executions USING COVERING INDEX executions_of_run (run=? AND tenant>?)",
    "tenants_by_failed": "SEARCH executions USING COVERING INDEX executions_failed (run=? AND tenant>?)",
    "executions_for": "SEARCH x USING INDEX executions_of_run (run=? AND tenant=?)",
    "listed_for_tenant": "SEARCH x USING INDEX executions_of_tenant (tenant=? AND run>? AND run<?)",
    "unlisted_for_tenant": "SEARCH r USING INDEX runs_large (n>? AND n<?)",
    "retries_of": "SEARCH runs USING INDEX runs_by_retry (retry_of=?)",
    "last_runs_of": "SEARCH runs USING INDEX runs_by_job (job=?)",
    "last_error": "SEARCH executions USING INDEX executions_of_run (run=? AND tenant=?)",
    "mended_in": f"SEARCH runs {BY_NUMBER}",
    "tallies": "SEARCH tallies USING PRIMARY KEY (minute>?)",
    "totals": "SEARCH tallies USING PRIMARY KEY (minute=?)",
    "end_audit": f"SEARCH audit {BY_NUMBER}",
    "audit_by_number": "SEARCH audit USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    "audit_by_name": "SEARCH audit USING INDEX audit_by_name (name=? AND id>? AND id<?)",
    "audit_by_job": "SEARCH audit USING INDEX audit_of_job (job=? AND id>? AND id<?)",
    "audit_by_tenant": "SEARCH audit USING INDEX audit_of_tenant (tenant=? AND id>? AND id<?)",
    "audit_by_run": "SEARCH audit USING INDEX audit_of_run (run=? AND id>? AND id<?)",
    "audit_floor_by_run": "SEARCH audit USING COVERING INDEX audit_of_run (run=? AND id<?)",
}

# These sort a few numbers that they were given, or what waits.
SORTING = {
    *("succeeded", "lesser_of_job", "lesser_of_tenant", "held_counts", "pauses", "running_longest"),
    *("lacking_jobs", "lacking_runs", "executions_by_running", "tenants_by_running"),
}

# A scan of these is a walk over all that was ever kept. `r`, `o`, `x`, `y` and `l` are what statements call them.
# What waits, runs or is to be stopped has indexes of its own, which hold nothing of what is only kept.
_KEPT = re.compile(
    r"SCAN (runs|executions|logs|r|o|x|y|l)\b"
    r"(?!.*INDEX (executions_(due|held|running|paused|limited|capped)|runs_(stopping|to_select|of_schedules))\b)"
)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_STATEMENT = re.compile(r"(select|insert|update|delete|with)\b")
_VALUE = re.compile(r"(?<!:):(\w+)")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    path = tmp_path / "ledger.db"
    opened = connect(path, write=True)
    migrate(opened, path)
    yield opened
    opened.close()


def all_statements() -> list[str]:
    """Name every statement; what is only a part of others is tried with them."""
    return [name for name in statement.names() if _STATEMENT.match(_COMMENT.sub("", statement(name)))]


def plan(connection: apsw.Connection, name: str) -> list[str]:
    text = statement(name)
    bare = _COMMENT.sub("", text)
    numbered = [int(number) for number in re.findall(r"\?(\d+)", bare)]
    many = max(numbered) if numbered else bare.count("?")
    values: Any = ["1"] * many if many else dict.fromkeys(_VALUE.findall(bare), "1")
    return [str(row[3]) for row in connection.execute(f"explain query plan {text}", values)]


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_goes_by_its_index(connection: apsw.Connection, name: str) -> None:
    assert plan(connection, name)[0] == HOT[name]


@pytest.mark.parametrize("name", all_statements())
def test_no_statement_walks_over_what_is_kept(connection: apsw.Connection, name: str) -> None:
    walks = [step for step in plan(connection, name) if _KEPT.match(step)]
    assert [step for step in walks if step != HOT.get(name)] == []


@pytest.mark.parametrize("name", all_statements())
def test_no_statement_sorts_what_is_kept(connection: apsw.Connection, name: str) -> None:
    sorted_ = [step for step in plan(connection, name) if "TEMP B-TREE" in step]
    assert not sorted_ or name in SORTING


def test_a_run_is_marked_for_pruning_by_its_end(connection: apsw.Connection) -> None:
    steps = plan(connection, "mark_for_pruning")
    assert steps.count("SEARCH r USING INDEX runs_by_end (state=? AND finished_at<?)") == 3


def test_how_many_are_running_is_counted_in_the_index_of_those_that_run(connection: apsw.Connection) -> None:
    counted = "SEARCH x USING COVERING INDEX executions_running (owner=? AND run=?)"
    assert counted in plan(connection, "counts")
    assert counted in plan(connection, "listed_by_number")


def test_the_next_tag_looks_at_one_row_of_each_kind(connection: apsw.Connection) -> None:
    steps = plan(connection, "next_tag")
    assert "SEARCH flows USING PRIMARY KEY (band=? AND flow=?)" in steps
    assert "SEARCH chunks USING INDEX chunks_of_flow (band=? AND flow=?)" in steps


def test_the_next_due_is_the_first_of_two_indexes(connection: apsw.Connection) -> None:
    steps = plan(connection, "next_due")
    assert "SCAN executions USING COVERING INDEX executions_due" in steps
    assert "SEARCH r USING INDEX runs_to_select (band=? AND due_at>?)" in steps


def test_the_next_run_to_select_is_the_first_of_its_band(connection: apsw.Connection) -> None:
    assert "SEARCH r USING INDEX runs_to_select (band=? AND due_at<?)" in plan(connection, "run_to_select")


def test_who_is_unguarded_is_asked_of_the_guards_by_their_executions(connection: apsw.Connection) -> None:
    steps = plan(connection, "unguarded")
    assert "SEARCH guards USING COVERING INDEX sqlite_autoindex_guards_1 (execution=?)" in steps


def test_old_local_times_are_found_by_their_schedules(connection: apsw.Connection) -> None:
    steps = plan(connection, "old_local_fires")
    assert "SEARCH f USING PRIMARY KEY (schedule=? AND local_time<?)" in steps


def test_what_is_in_force_is_asked_of_what_is_small(connection: apsw.Connection) -> None:
    steps = [step for step in plan(connection, "restrictions") if step.startswith(("SCAN", "SEARCH"))]
    assert steps == ["SCAN CONSTANT ROW", "SCAN pauses", "SCAN limits", "SCAN runs USING INDEX runs_stopping"]


def test_who_runs_what_and_who_lacks_it_is_found_among_what_runs_and_waits(connection: apsw.Connection) -> None:
    reads = {
        "running_longest": "SCAN executions USING INDEX executions_running",
        "lacking_jobs": "SEARCH executions USING INDEX executions_due (due_at<?)",
        "lacking_of_run": "SEARCH executions USING INDEX executions_held (run=? AND held=? AND due_at<?)",
    }
    for name, step in reads.items():
        assert step in plan(connection, name)


def test_what_is_late_is_found_among_what_waits(connection: apsw.Connection) -> None:
    waiting = {
        "late_due": "SEARCH x USING INDEX executions_held (run=? AND held=? AND due_at<?)",
        "late_held": "SEARCH x USING INDEX executions_held (run=? AND held=?)",
        "late_ready": "SEARCH x USING INDEX executions_ready (chunk=?)",
        "late_ready_alone": "SEARCH x USING INDEX executions_of_run (run=?)",  # which has one
        "troubled_fires": "SEARCH f USING INDEX runs_by_fire "
        "(job=? AND schedule=? AND scheduled_for>? AND scheduled_for<?)",
    }
    for name, step in waiting.items():
        assert step in plan(connection, name)
    steps = plan(connection, "overlapped")
    assert "SEARCH x USING INDEX executions_held (run=? AND held>?)" in steps
    assert "SEARCH x USING INDEX executions_running (owner=? AND run=?)" in steps
    assert "SEARCH x USING INDEX executions_ready (chunk=?)" in steps


def test_what_has_succeeded_since_is_looked_for_in_a_few_places(connection: apsw.Connection) -> None:
    steps = plan(connection, "later_runs")
    assert "SEARCH runs USING INDEX runs_by_job (job=? AND n>?)" in steps
    assert "SEARCH runs USING INDEX runs_by_retry (retry_of=?)" in steps
    steps = plan(connection, "mended_in")
    assert "SEARCH x USING INDEX executions_of_run (run=? AND tenant=?)" in steps
    assert "SEARCH executions USING INDEX executions_of_tenant (tenant=? AND run>?)" in steps


def test_what_nothing_asks_for_is_refused(connection: apsw.Connection) -> None:
    # The guard guards: a walk over all executions is seen as one.
    steps = [str(row[3]) for row in connection.execute("explain query plan select * from executions where error = ''")]
    assert [step for step in steps if _KEPT.match(step)] == ["SCAN executions"]
