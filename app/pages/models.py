"""The Models pages: which versions there are, why each was promoted or not, and where one comes from."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.answers import models as answers
from app.model_routes import find_model, find_models
from app.pages.gate_words import list_gate_figures, tell_decision
from app.pages.navigation import choose_problem
from app.pages.rendering import render
from app.parts import read_asked
from loopcast.evidence.formats import name_candidate
from loopcast.queries.requests import MAX_REASON_CHARACTERS
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.tokens import Role

STANDINGS: Final = {
    DecisionKind.PROMOTION: ("was champion", "plain"),
    DecisionKind.REJECTION: ("not promoted", "plain"),
    DecisionKind.DEMOTION: ("taken out of service", "warn"),
    DecisionKind.OBSERVATION: ("changed in MLflow", "plain"),
}

Name = Annotated[str, Query(max_length=200)]
router = APIRouter()


@router.get("/models")
async def show_models(request: Request, problem: Name = "") -> Response:
    """The versions of one problem, and what an operator may do about them."""
    asked = read_asked(request)
    served = choose_problem(asked, problem)
    return render(
        request,
        "models.html.jinja",
        problem=served,
        found=await find_models(asked, served.record.problem),
        standing=describe_standing,
        tell=tell_decision,
        name=name_candidate,
        may_operate=asked.record.asker.may(Role.OPERATOR),
        max_reason=MAX_REASON_CHARACTERS,
    )


@router.get("/models/{version}")
async def show_model(request: Request, version: Annotated[int, Path(ge=1, lt=2**31)], problem: Name = "") -> Response:
    """One version: what was decided about it, its figures, and its lineage down to the data."""
    asked = read_asked(request)
    served = choose_problem(asked, problem)
    found = await find_model(asked, served.record.problem, version)
    about = [each for each in found.decisions if each.figures]
    return render(
        request,
        "model.html.jinja",
        problem=served,
        found=found,
        standing=describe_standing,
        tell=tell_decision,
        gate_figures=list_gate_figures(about[-1]) if about else [],
        name=name_candidate,
        may_operate=asked.record.asker.may(Role.OPERATOR),
        max_reason=MAX_REASON_CHARACTERS,
    )


def describe_standing(version: answers.ModelVersion) -> tuple[str, str]:
    """Where a version stands, in a word or two, and the tone of its badge."""
    if version.is_champion:
        return ("champion", "good") if version.is_serving else ("champion, about to serve", "info")
    if version.is_serving:
        return "still serving", "warn"
    return ("not judged", "info") if version.last_decision is None else STANDINGS[version.last_decision.kind]
