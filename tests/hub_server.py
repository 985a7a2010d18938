"""A minimal Hugging Face Hub on the loopback interface, for downloads only."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves org/tiny, denies access to org/gated, has no other models; records requests and their tokens."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()} | {"README.md": b"hello"}
        self.tokens: set[str | None] = set()
        self.requested: list[str] = []
        self.served: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def served(folder: Path) -> Iterator[Hub]:
    """Serve a model's directory until the block ends."""
    server = Hub(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Answer(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.tokens.add(self.headers.get("Authorization"))
        path = self.path.split("?")[0]
        self.server.requested.append(path)
        if path in (
            "/api/models/org/tiny",
            f"/api/models/org/tiny/revision/{COMMIT}",
            "/api/models/org/tiny/revision/main",
        ):
            return self._info()
        if path == f"/api/models/org/tiny/tree/{COMMIT}":  # how later versions of huggingface-hub list the files
            return self._tree()
        if path.startswith("/api/models/org/tiny/revision/"):
            return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        if path.startswith(f"/org/tiny/resolve/{COMMIT}/"):
            return self._file(path.rsplit("/", 1)[1])
        if path.startswith("/api/models/org/gated"):
            return self._send(403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Ask for access"})
        if path.startswith("/api/models/org/broken"):
            return self._send(503, b"{}", {})
        return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _info(self) -> None:
        siblings = [{"rfilename": name, "size": len(content)} for name, content in self.server.files.items()]
        info = {"_id": "1", "id": "org/tiny", "modelId": "org/tiny", "sha": COMMIT, "private": False, "tags": []}
        self._send(200, json.dumps({**info, "downloads": 0, "siblings": siblings}).encode(), {})

    def _tree(self) -> None:
        files = [
            {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for name, content in self.server.files.items()
        ]
        self._send(200, json.dumps(files).encode(), {})

    def _file(self, name: str) -> None:
        content = self.server.files[name]
        if self.command == "GET":
            self.server.served.append(name)
        self._send(200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        return None
