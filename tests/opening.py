"""Open pages by a link, without a browser."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[1]
HOME = "streamlit_app.py"


def open_page(page: str, **link: str) -> AppTest:
    """Open a page in a new session by a link, and fail the test on an uncaught exception.

    Args:
        page: HOME, or a file such as "pages/train.py".
        link: the query parameters.
    """
    app = AppTest.from_file(ROOT / HOME, default_timeout=60)
    if page != HOME:
        app.switch_page(page)
    for name, value in link.items():
        app.query_params[name] = value
    return well(app.run())


def well(app: AppTest) -> AppTest:
    """Return the app, and fail the test if it shows an exception."""
    assert not app.exception, app.exception
    return app


def shown(markdown: str) -> str:
    """Return the text that Markdown with escaped punctuation shows."""
    return markdown.replace("\\", "").replace("\u2060", "")
