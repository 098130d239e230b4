"""A hub on loopback: the API, files with ranges and hashes, private and gated repositories, and ways to fail."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "beef"
TOKEN = "hf_secret_of_the_test"


@dataclass
class StandIn:
    """`files`: those of the model or data set `team/tiny`. Every request is recorded with its Authorization."""

    files: dict[str, bytes]
    card: dict[str, object] = field(default_factory=lambda: {"license": "mit"})
    commit: str = COMMIT
    url: str = ""
    is_hub: bool = True
    is_private: bool = False
    is_gated: bool = False
    cuts: dict[str, int] = field(default_factory=dict)
    """File -> number of bytes after which the connection breaks, once."""
    damaged: set[str] = field(default_factory=set)
    redirects: dict[str, str] = field(default_factory=dict)
    """File -> address to which it is redirected."""
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    """Path, Range and Authorization of each request."""

    def described(self) -> dict[str, object]:
        return {
            "sha": self.commit,
            "cardData": self.card,
            "siblings": [self._file(name, content) for name, content in self.files.items()],
        }

    @staticmethod
    def _file(name: str, content: bytes) -> dict[str, object]:
        if name.endswith((".safetensors", ".parquet")):
            sha256 = hashlib.sha256(content).hexdigest()
            return {"rfilename": name, "size": len(content), "lfs": {"sha256": sha256, "size": len(content)}}
        git_hash = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        return {"rfilename": name, "size": len(content), "blobId": git_hash}


@contextmanager
def serving(hub: StandIn) -> Iterator[StandIn]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            asked, token = self.headers.get("Range"), self.headers.get("Authorization")
            hub.requests.append((path, asked, token))
            is_known = token == f"Bearer {TOKEN}"
            if not hub.is_hub:
                return self.answer(200, b"<html></html>")
            if path.startswith("/api/"):
                name, _, revision = path.removeprefix("/api/").partition("/")[2].partition("/revision/")
                if name != "team/tiny" or (hub.is_private and not is_known):
                    return self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})
                if revision not in ("main", "v1", hub.commit):
                    return self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
                return self.answer(200, json.dumps(hub.described()).encode())
            name = path.removeprefix("/datasets").removeprefix(f"/team/tiny/resolve/{hub.commit}/")
            if hub.is_gated and not is_known:
                return self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
            if name in hub.redirects:
                return self.answer(302, b"", {"Location": hub.redirects[name]})
            return self.send_file(name, asked)

        def send_file(self, name: str, asked: str | None) -> None:
            content = hub.files[name]
            if name in hub.damaged:
                content = bytes([content[0] ^ 1]) + content[1:]
            begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            headers = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if asked else {}
            cut = hub.cuts.pop(name, None)
            self.answer(206 if asked else 200, content[begin:], headers, sent=cut)

        def answer(
            self, status: int, content: bytes, headers: dict[str, str] | None = None, sent: int | None = None
        ) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content[:sent])
            if sent is not None:
                self.close_connection = True

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
