"""Downloads of a run as files named after it: web page, epoch table, report, and the whole run."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.reports.report import write_markdown
from core.runs.archive import export_run
from core.runs.loading import load_model
from core.runs.run import Run


def draw_downloads(run: Run) -> None:
    """Draw the download buttons of a run with at least one epoch. A click makes the file."""
    with st.container(horizontal=True, gap="small"):
        for title, ending, mime, make in (
            ("Web page (HTML)", "web-page.html", "text/html", lambda: _web_page(run)),
            ("Epoch table (CSV)", "epochs.csv", "text/csv", lambda: epochs_csv(run)),
            ("Report (Markdown)", "report.md", "text/markdown", lambda: write_markdown(run)),
            ("Whole run (zip)", "run.zip", "application/zip", lambda: export_run(run)),
        ):
            st.download_button(
                title,
                make,
                f"{run.name}-{ending}",
                mime,
                key=f"download_{ending}",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )


def _web_page(run: Run) -> str:
    from core.exports.html import build_page  # imports torch

    return build_page(run, load_model(run))


def epochs_csv(run: Run) -> str:
    """The epoch table as comma-separated values, accuracies in percent."""
    rows = [
        {**row.to_dict(), "train_accuracy": row.train_accuracy, "val_accuracy": row.val_accuracy}
        for row in run.epochs
    ]
    return pd.DataFrame(rows).to_csv(index=False)
