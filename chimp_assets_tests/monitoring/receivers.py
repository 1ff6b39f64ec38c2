"""Receivers of messages: a web server and a mail server on this machine that keep what they were sent."""

from __future__ import annotations

import email
import json
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from email import policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """What both have. came: what arrived, in order; on_message: called before the answer to each."""

    def __init__(self) -> None:
        self.came: list[Any] = []
        self.on_message: Callable[[], None] = lambda: None

    def keys(self) -> list[str]:
        """The key of each message, in order: a receiver that honours keys keeps the first of each."""
        return [key for key, _ in self.came]


class HookServer(Receiver):
    """A web server. status: of its answers; headers: more of them."""

    def __init__(self) -> None:
        super().__init__()
        self.status, self.headers = 200, {}
        self.said: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.said.append({"path": self.path, **self.headers})
                outer.came.append((self.headers["Idempotency-Key"], json.loads(body)))
                outer.on_message()
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def do_GET(self) -> None:
                outer.said.append({"path": self.path, "method": "GET"})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                with suppress(ConnectionError):  # the sender was killed
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/s3cret-key"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more."""
        self._server.shutdown()
        self._server.server_close()


class MailServer(Receiver):
    """A mail server. refused: receivers that it does not take; signed_in: what came with AUTH."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.signed_in: list[str] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(ConnectionError):  # the sender was killed
                    self._talk()

            def _say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def _talk(self) -> None:
                self._say("220 mail")
                to: list[str] = []
                while line := self.rfile.readline().decode("latin-1").strip():
                    word = line.split()[0].upper()
                    if word == "EHLO":
                        self._say("250-mail")
                        self._say("250-8BITMIME")
                        self._say("250 AUTH PLAIN")
                    elif word == "AUTH":
                        outer.signed_in.append(line.split()[-1])
                        self._say("235 yes")
                    elif word == "RCPT":
                        address = line[line.index("<") + 1 : line.index(">")]
                        to += [] if address in outer.refused else [address]
                        self._say("550 no" if address in outer.refused else "250 yes")
                    elif word == "DATA":
                        self._say("354 go on")
                        lines = []
                        while (part := self.rfile.readline()) not in (b".\r\n", b""):
                            lines.append(part)
                        read = email.message_from_bytes(b"".join(lines), policy=policy.default)
                        assert isinstance(read, EmailMessage)
                        outer.came.append((read["Message-ID"], read))
                        outer.on_message()
                        self._say("250 taken")
                    elif word == "QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 yes")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more."""
        self._server.shutdown()
        self._server.server_close()
