"""A client of Streamlit's websocket without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit


class Client:
    """A session of the app, which can also send what no browser would."""

    def __init__(self, app: str, cookies: Sequence[dict[str, Any]] = ()) -> None:
        from websockets.sync.client import connect

        address = urlsplit(app)
        pairs = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in cookies)
        # The server takes who is signed in from the cookies only with the token against forgery.
        tokens = [each["value"] for each in cookies if each["name"] == "_streamlit_xsrf"]
        self.socket = connect(
            f"ws://{address.netloc}/_stcore/stream",
            origin=app,  # type: ignore[arg-type]
            subprotocols=["streamlit", *tokens],  # type: ignore[list-item]
            additional_headers={"Cookie": pairs},
            max_size=None,
        )
        self.page, self.query, self.title = "", "", ""
        self.ids: dict[str, str] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def rerun(self, page: str, query: str, clicked: str = "") -> None:
        """Run a page's script, as after a click on the button with this id."""
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        self.page, self.query = page, query
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.query_string = query
        if clicked:
            widget = message.rerun_script.widget_states.widgets.add()
            widget.id, widget.trigger_value = clicked, True
        self.socket.send(message.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(self.socket.recv(timeout=60))  # type: ignore[arg-type]
            if answer.HasField("delta") and answer.delta.new_element.HasField("button"):
                found = answer.delta.new_element.button.id
                self.ids[found.split("-", 2)[2]] = found
            if answer.HasField("page_config_changed"):
                self.title = answer.page_config_changed.title
            # A script that asks to be run again finishes early, and once more after that.
            if answer.WhichOneof("type") == "script_finished" and (
                answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
            ):
                return

    def click(self, key: str) -> None:
        """Click the button with this key, whether or not the page shows it or lets it be used."""
        self.rerun(self.page, self.query, self.ids.get(key, f"$$ID-{'0' * 32}-{key}"))
