"""The task that walks through a problem's history, and tells what would have happened."""

import sys
from datetime import date, timedelta

from flytekit import Deck, Resources, task
from pydantic import BaseModel

from loopcast.config import Problem
from loopcast.errors import ProblemError
from loopcast.evidence.record import RECORD
from loopcast.replay.faults import Faults
from loopcast.stores.sources import read_source
from tasks.faults import retry_transient_faults
from tasks.identity import find_reports
from tasks.stores import open_stores


class Replayed(BaseModel):
    """What a replay came to."""

    model_config = RECORD

    n_days: int
    n_trainings: int
    skill_ratio: float
    """1 - loss of the loop over that of the EWMA baseline."""
    skill_ratio_nothing: float
    skill_ratio_quarterly: float
    wall_s: float
    page: str
    picture: str


@task(
    requests=Resources(cpu="2", mem="4Gi"),
    retries=3,
    timeout=timedelta(hours=2),
    enable_deck=True,
    deck_fields=(),  # the default fields list every installed package, which takes longer than the page
)
@retry_transient_faults
def replay_history(problem: Problem, start: str, end: str, faults: Faults) -> Replayed:
    """Walk from one date to another, both included, write page and picture, and print the table."""
    from loopcast.model.processes import start_process_server

    start_process_server()  # it imports while this process does
    from loopcast.replay.incidents import summarize_replay
    from loopcast.replay.outcome import Policy
    from loopcast.replay.page import write_replay
    from loopcast.replay.run import run_replay
    from loopcast.stores.failures import tell_success

    stores = open_stores()
    outcome = run_replay(
        read_source(problem), problem, faults, _read_date(start), _read_date(end), stores.settings.seed_processes
    )
    folder = find_reports(stores.settings, problem.name) / f"replay-{start}-{end}"
    page, picture = write_replay(outcome, folder)
    tell_success(stores, problem.name, "replay")
    Deck("Replay", page.read_text(encoding="utf-8"))
    sys.stdout.write(f"\n{summarize_replay(outcome)}\n\nPage:    {page}\nPicture: {picture}\n")
    return Replayed(
        n_days=len(outcome.days),
        n_trainings=outcome.n_trainings[Policy.LOOP],
        skill_ratio=outcome.skill_ratio(Policy.LOOP),
        skill_ratio_nothing=outcome.skill_ratio(Policy.NOTHING),
        skill_ratio_quarterly=outcome.skill_ratio(Policy.QUARTERLY),
        wall_s=outcome.wall_s,
        page=str(page),
        picture=str(picture),
    )


def _read_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise ProblemError(f"found `{text}`, needs a date such as 2008-09-15") from exc
