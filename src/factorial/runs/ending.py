"""How a sweep's member ends, in this process or in a launcher's: always with an outcome."""

import contextlib
import io
from dataclasses import replace

from hydra.core.utils import JobReturn

from factorial import console
from factorial.results import Outcome
from factorial.runs.members import Member
from factorial.runs.run import is_retriable, run_trial
from factorial.runs.trial import Trial, prepare
from factorial.settings.combination import Combination
from factorial.settings.messages import reason

NOT_STARTED = "not started: an earlier run failed, and on_failure=stop"


def refused(member: Member) -> Outcome:
    return Outcome(member.name, reason=member.reason)


def not_started(member: Member) -> Outcome:
    return Outcome(member.name, reason=NOT_STARTED)


def lost(member: Member, why: str) -> Outcome:
    return Outcome(member.name, "LOST", reason=f"its process died ({why})", retriable=True)


def run_caught(trial: Trial, display: console.Display) -> Outcome:
    """One member to its end. Raises no Exception: a failure is a result."""
    try:
        outcome = run_trial(trial, display)
    except Exception as error:
        outcome = Outcome(trial.name, reason=reason(error), retriable=is_retriable(error))
    return replace(outcome, error=None)  # which may not travel between processes


def run_in_worker(combination: Combination) -> Outcome:
    """One member in a launcher's process; what became of it is shown by the command."""
    try:
        trial = prepare(combination, Combination.compose)
        trial.require_expected()
    except Exception as error:
        return Outcome(" ".join(combination.typed), reason=reason(error))
    return run_caught(trial, console.Display(brief=True, moving=False))


def outcome_of(member: Member, returned: JobReturn) -> Outcome:
    """What a launched job gave; a job that did not end as one of ours counts as lost."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # Hydra says something of its own as well
            outcome = returned.return_value
    except Exception as error:
        return lost(member, reason(error))
    if isinstance(outcome, Exception):
        return lost(member, reason(outcome))
    if not isinstance(outcome, Outcome):
        return lost(member, f"it gave {outcome!r}")
    return outcome if outcome.run_id else replace(outcome, name=member.name)
