from __future__ import annotations

import json

import pytest

from pinstripe import errors
from pinstripe.server.problems import MAX_DETAIL, UNEXPECTED, Refused, problem_of, problem_response


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.UnknownRun("unknown run '7'"), 404, "unknown-run"),
        (errors.UnknownJob("unknown job 'x'"), 404, "unknown-job"),
        (errors.UnknownTenant("unknown tenant 'x'"), 404, "unknown-tenant"),
        (errors.InvalidArguments("expected …"), 422, "invalid-arguments"),
        (errors.InvalidJob("its class breaks a rule"), 422, "invalid-job"),
        (errors.ConfigurationError("expected …"), 422, "invalid-configuration"),
        (errors.TenantRequired("which one?"), 422, "tenant-required"),
        (errors.TenantSourceFailed("it raised"), 503, "tenant-source-failed"),
        (errors.LedgerError("it is locked"), 503, "ledger-unavailable"),
        (errors.PinstripeError("closed"), 409, "not-done"),
        (Refused(418, "No", "no coffee", type_="teapot"), 418, "teapot"),
    ],
)
def test_each_error_has_its_status_and_the_words_of_the_command_line(error: Exception, status: int, kind: str) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.type, problem.detail) == (status, kind, str(error))
    assert problem.headers == ({"Retry-After": "5"} if status == 503 else {})


@pytest.mark.parametrize("error", [errors.LedgerError("/srv/k3y.db is locked"), errors.TenantSourceFailed("k3y")])
def test_who_is_confined_is_not_told_what_fails_in_the_server(error: Exception) -> None:
    told, whole = problem_of(error, is_confined=True), problem_of(error)
    assert "k3y" not in told.detail
    assert told._replace(detail="") == whole._replace(detail="")
    assert problem_of(errors.UnknownRun("unknown run '7'"), is_confined=True).detail == "unknown run '7'"


@pytest.mark.parametrize(
    "error", [ValueError("k3y"), KeyError("k3y"), KeyboardInterrupt("k3y"), ExceptionGroup("k3y", [OSError("k3y")])]
)
def test_of_any_other_error_nothing_is_told(error: BaseException) -> None:
    assert problem_of(error) is UNEXPECTED
    assert "k3y" not in str(UNEXPECTED)


def test_passwords_are_hidden_and_sentences_have_an_end() -> None:
    problem = problem_of(errors.LedgerError("no answer from postgresql://app:pa55@db/shop"))
    assert problem.detail == "no answer from postgresql://app:***@db/shop"
    assert len(problem_of(errors.UnknownRun("x" * 100_000)).detail) == MAX_DETAIL + 1


def test_as_json_it_is_a_problem_of_rfc_9457() -> None:
    response = problem_response(problem_of(errors.UnknownJob('unknown job "\ud800<b>"')))
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "/_pinstripe/api/#problem-unknown-job",
        "title": "Unknown job",
        "status": 404,
        "detail": 'unknown job "?<b>"',
    }
