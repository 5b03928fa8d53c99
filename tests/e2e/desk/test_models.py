"""What an operator does about models, from the pages: put a version into service, and go back."""

import re

import pytest
from playwright.sync_api import Page, expect

from loopcast.client import Client
from tests.e2e.browser import Person
from tests.e2e.serving import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("worker")]

ANSWER_MS = 60_000
REASON = "Version 1 knew the calm years better"


def decide(page: Page, opens: str, title: str, yes: str) -> None:
    """Open a dialog, give the reason, say yes, and wait until it is done."""
    page.get_by_role("button", name=opens).click()
    dialog = page.get_by_role("dialog", name=title)
    dialog.get_by_label("Why").fill(REASON)
    dialog.get_by_role("button", name=yes).click()
    expect(page.locator("main")).to_contain_text("Done", timeout=ANSWER_MS)


def test_a_version_is_put_into_service_and_taken_out_again(ada: Person, client: Client):
    """Both after a confirmation with a reason, which stands with the decision, and in the audit."""
    page = ada.open("/models?problem=google")

    decide(page, "Put version 1 into service", "Put version 1 into service?", "Put version 1 into service")
    expect(page.locator("main")).to_contain_text("Version 1 is in service in the place of 2")
    wait_for(lambda: client.forecast("google", "GOOG").model_version == 1)

    page.goto(f"{ada.origin}/models?problem=google")
    decide(page, "Go back to version 2…", "Go back to version 2?", "Go back to version 2")
    expect(page.locator("main")).to_contain_text("Version 2 is in service")
    wait_for(lambda: client.forecast("google", "GOOG").model_version == 2)

    demotion, promotion = client.decisions("google", limit=2)
    assert (promotion.model_version, promotion.champion_after, promotion.reasons) == ("1", "1", (REASON,))
    assert (demotion.champion_before, demotion.champion_after, demotion.reasons) == ("1", "2", (REASON,))
    kinds = [each.details.get("kind") for each in client.audit()]
    assert kinds.index("rollback") < kinds.index("promotion")


def test_nothing_is_decided_without_a_reason(ada: Person, client: Client):
    """The dialog stays, and says what is missing; going back closes it."""
    before = client.decisions("google", limit=1)
    page = ada.open("/models?problem=google")
    page.get_by_role("button", name="Put version 1 into service").click()
    dialog = page.get_by_role("dialog", name="Put version 1 into service?")

    dialog.get_by_role("button", name="Put version 1 into service").click()
    expect(dialog).to_be_visible()
    assert dialog.get_by_label("Why").evaluate("field => field.validity.valueMissing")
    dialog.get_by_role("button", name="Go back").click()
    expect(dialog).to_be_hidden()
    assert client.decisions("google", limit=1) == before


def test_a_version_leads_down_to_its_data(ada: Person, client: Client):
    """The snapshot's hash, its rows, and the commit stand on its page."""
    detail = client.model_version("google", 2)

    page = ada.open("/models?problem=google")
    page.get_by_role("link", name="Version 2").click()

    section = page.get_by_role("region", name="Where it comes from")
    expect(section).to_contain_text(detail.snapshot.sha256)
    expect(section).to_contain_text(f"{detail.snapshot.n_rows:,}")
    expect(section).to_contain_text(re.compile(detail.git_commit or "not known"))
