"""Pages and 3D recordings that show the bodies of a run."""

from ._config import ReportConfig, ReportResult

__all__ = ["ReportConfig", "ReportResult", "report"]


def report(config: ReportConfig) -> ReportResult:
    """Make the page of a run, or show it in the viewer; needs the extra `report`.

    Raises:
        PgtfastError: a run cannot be read, its body is not given, or the page cannot be written.
    """
    from ._run import run

    return run(config)
