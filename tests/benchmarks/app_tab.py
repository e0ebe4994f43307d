"""One tab of the app without a browser: a websocket that speaks Streamlit's protocol."""

from __future__ import annotations

import asyncio
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ANSWER = 60.0  # seconds after which a page counts as not answered


class NotAnsweredError(Exception):
    """The server did not finish a page in time."""


@dataclass
class Page:
    """What the server sent for one run of a page's script."""

    seconds: float = 0.0
    messages: list[bytes] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    numbers: dict[str, tuple[str, float | None]] = field(default_factory=dict)
    """Number inputs: label -> (id, value that the server has set)."""
    texts: dict[str, str] = field(default_factory=dict)
    """Text inputs: label -> id."""
    buttons: dict[str, str] = field(default_factory=dict)
    """Buttons: label -> id."""

    def __contains__(self, text: str) -> bool:
        return any(text.encode() in message for message in self.messages)


class Tab:
    """A tab, open within `async with`.

    Args:
        address: of the server, as http://localhost:8501.
        check: called with every message as it arrives.
    """

    def __init__(self, address: str, check: Callable[[bytes], None] = lambda message: None):
        self.url, self.check = address.replace("http", "ws") + "/_stcore/stream", check
        self.polled: dict[str, tuple[float, float]] = {}  # fragment -> (interval, when next)
        self._page, self._query = "", ""

    async def __aenter__(self) -> Tab:
        self._socket = await websockets.connect(
            self.url, subprotocols=[websockets.Subprotocol("streamlit")], max_size=None
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._socket.close()

    async def open(self, page: str, query: Mapping[str, str] | None = None) -> Page:
        """Open a page, "" for Home, by its link.

        Raises:
            NotAnsweredError, websockets.WebSocketException, OSError: it was not answered.
        """
        self._page, self._query = page, urllib.parse.urlencode(query or {})
        self.polled.clear()
        return await self._ask(self._message())

    async def enter(self, numbers: Mapping[str, int], texts: Mapping[str, str]) -> Page:
        """Enter values into the widgets of these ids, as a user would.

        Raises:
            As `open`.
        """
        message = self._message()
        states = message.rerun_script.widget_states.widgets
        for widget, number in numbers.items():
            states.add(id=widget, int_value=number)
        for widget, text in texts.items():
            states.add(id=widget, string_value=text)
        return await self._ask(message)

    async def press(self, button: str) -> Page:
        """Press the button of this id.

        Raises:
            As `open`.
        """
        message = self._message()
        message.rerun_script.widget_states.widgets.add(id=button, trigger_value=True)
        return await self._ask(message)

    async def stay(self, seconds: float) -> list[float]:
        """Stay on the page, and poll what it asks to have polled; return the seconds of each poll.

        Raises:
            As `open`.
        """
        leave, polls = time.monotonic() + seconds, []
        while (now := time.monotonic()) < leave:
            when, name = min(
                ((at, name) for name, (_, at) in self.polled.items()), default=(leave, "")
            )
            if when > now:
                await asyncio.sleep(min(when, leave) - now)
                continue
            message = self._message()
            message.rerun_script.fragment_id = name
            message.rerun_script.is_auto_rerun = True
            polls.append((await self._ask(message)).seconds)
            if name in self.polled:
                interval = self.polled[name][0]
                self.polled[name] = interval, time.monotonic() + interval
        return polls

    async def send_junk(self, data: bytes) -> None:
        """Send bytes that are no message of the protocol."""
        await self._socket.send(data)

    def _message(self) -> BackMsg:
        message = BackMsg()
        message.rerun_script.page_name = self._page
        message.rerun_script.query_string = self._query
        return message

    async def _ask(self, message: BackMsg) -> Page:
        """Send a message and read until its script has run."""
        page, started = Page(), time.monotonic()
        try:
            async with asyncio.timeout(ANSWER):
                await self._socket.send(message.SerializeToString())
                while not self._read(await self._socket.recv(decode=False), page):
                    pass
        except TimeoutError:
            raise NotAnsweredError(f"{self._page or 'home'}: no answer in {ANSWER:.0f} s") from None
        page.seconds = time.monotonic() - started
        return page

    def _read(self, data: bytes, page: Page) -> bool:
        """Take in a message; return whether it was the last of its script's run."""
        self.check(data)
        page.messages.append(data)
        message = ForwardMsg()
        message.ParseFromString(data)
        kind = message.WhichOneof("type")
        if kind == "delta":
            element = message.delta.new_element
            if element.WhichOneof("type") == "exception":
                page.errors.append(f"{element.exception.type}: {element.exception.message}")
            elif element.WhichOneof("type") == "number_input":
                number = element.number_input
                value = number.value if number.set_value else None
                page.numbers[number.label] = number.id, value
            elif element.WhichOneof("type") == "text_input":
                page.texts[element.text_input.label] = element.text_input.id
            elif element.WhichOneof("type") == "button":
                page.buttons[element.button.label] = element.button.id
        elif kind == "new_session" and not message.metadata.run.fragment_ids:
            self.polled.clear()  # the whole page runs; it asks anew for what is to be polled
        elif kind == "stop_auto_rerun":
            for name in message.stop_auto_rerun.fragment_ids:
                self.polled.pop(name, None)
        elif kind == "auto_rerun":
            interval = message.auto_rerun.interval
            self.polled[message.auto_rerun.fragment_id] = interval, time.monotonic() + interval
        elif kind == "page_not_found":
            page.errors.append("page not found")
        return (
            kind == "script_finished"
            and message.script_finished != message.FINISHED_EARLY_FOR_RERUN
        )
