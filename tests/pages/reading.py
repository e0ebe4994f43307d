"""What a page shows, read from an AppTest."""

from __future__ import annotations

import json
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.opening import well


def page_text(app: AppTest) -> str:
    """All text of the page: headings, messages, metrics and HTML."""
    kinds = (
        app.title,
        app.header,
        app.markdown,
        app.caption,
        app.error,
        app.warning,
        app.toast,
        app.metric,
    )
    texts = [f"{getattr(shown, 'label', '')} {shown.value}" for kind in kinds for shown in kind]
    html = [shown.proto.body for shown in app.main.get("html")]
    text = "\n".join([*texts, *html])
    # Without the escapes of `escape_markdown`.
    return text.replace("&nbsp;", " ").replace("\\", "").replace("\u2060", "")


def page_links(app: AppTest) -> dict[str, str]:
    """The links to other pages: label -> query string."""
    return {link.proto.label: link.proto.query_string for link in app.main.get("page_link")}


def components(app: AppTest, name: str) -> list[dict[str, Any]]:
    """The data of every component `inkling_NAME` on the page."""
    return [
        json.loads(mounted.proto.json)
        for mounted in app.get("bidi_component")
        if mounted.proto.component_name == f"inkling_{name}"
    ]


def component(app: AppTest, name: str) -> dict[str, Any]:
    """The data of the first component `inkling_NAME` on the page."""
    return components(app, name)[0]


def press(app: AppTest, key: str) -> AppTest:
    """Click a button."""
    return well(app.button(key=key).click().run())


def press_and_rerun(app: AppTest, key: str) -> AppTest:
    """Click a button, and apply in one more run what it stored for the next one."""
    return well(press(app, key).run())


def press_label(app: AppTest, label: str) -> AppTest:
    """Click the first button with this label."""
    next(button for button in app.button if button.label == label).click()
    return well(app.run())
