"""Pages run without a browser, opened by a link as a person would."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[1]
HOME = "streamlit_app.py"


def open_page(page: str, **link: str) -> AppTest:
    """A page as a first visit with this link shows it; an error that escapes fails the test.

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
    """The app, which has shown no exception."""
    assert not app.exception, app.exception
    return app
