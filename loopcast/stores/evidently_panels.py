"""The dashboard of a problem in Evidently, as code: what is plotted from run to run."""

from uuid import UUID, uuid5

from evidently.sdk.models import DashboardModel, DashboardPanelPlot, DashboardTabModel, PanelMetric
from evidently.sdk.panels import bar_plot_panel, line_plot_panel

from loopcast.health.condition import Severity
from loopcast.health.drift import Measure
from loopcast.health.steps import WATCHED
from loopcast.stores.evidently_metrics import KS, WASSERSTEIN, MonitoringFigure, RollUpDistance
from loopcast.stores.evidently_report import CONDITIONS, DRIFT, LABELS, QUALITY, SKILL


def build_dashboard(project: UUID, horizon: int) -> DashboardModel:
    """The dashboard, with the same ids each time, so that saving it again changes nothing."""
    panels = [
        bar_plot_panel(  # no counter, which says "no value" of zero
            "Conditions",
            [_figure(CONDITIONS, severity.value) for severity in Severity],
            "Of an alert somebody was told; a notice stands in the report",
        ),
        line_plot_panel(
            "Skill over the EWMA baseline",
            [_figure(SKILL, f"skill, {scope}") for scope in ("all horizons", "horizon 1", f"horizon {horizon}")],
            "1 - loss / baseline's loss over the window; above 0 is better than the baseline",
        ),
        line_plot_panel(
            "Skill CUSUM",
            [_figure(SKILL, "CUSUM")],
            "Loss beyond the baseline's and the floor, in daily losses; at its threshold a training begins",
            size="half",
        ),
        line_plot_panel(
            "Coverage of the intervals",
            [_figure(SKILL, f"{nominal} % coverage, all horizons") for nominal in (80, 95)],
            size="half",
        ),
        line_plot_panel(
            "Drift, in thresholds",
            [_figure(DRIFT, measure.value) for measure in Measure],
            "Of the series that is furthest; above 1 has drifted",
        ),
        *(
            line_plot_panel(
                f"Distance of the roll-ups from training: {distance}",
                [_distance(column.value, distance) for column in WATCHED],
                size="half",
            )
            for distance in (KS, WASSERSTEIN)
        ),
        line_plot_panel("Labels", [_figure(LABELS, name) for name in ("known", "late")], size="half"),
        line_plot_panel("Rows", [_figure(QUALITY, name) for name in ("refused", "duplicated")], size="half"),
    ]
    fixed: list[DashboardPanelPlot] = [
        panel.copy(update={"id": uuid5(project, f"{k}/{panel.title}")}) for k, panel in enumerate(panels)
    ]
    tab = DashboardTabModel(id=uuid5(project, "tab"), title="Monitoring", panels=[panel.id for panel in fixed])
    return DashboardModel(tabs=[tab], panels=fixed)


def _figure(group: str, name: str) -> PanelMetric:
    labels = {"group": group, "name": name}
    return PanelMetric(metric=MonitoringFigure.__get_type__(), metric_labels=labels, legend=name)


def _distance(column: str, distance: str) -> PanelMetric:
    labels = {"column": column, "distance": distance}
    return PanelMetric(metric=RollUpDistance.__get_type__(), metric_labels=labels, legend=column.replace("_", " "))
