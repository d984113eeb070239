"""A small DICOMweb server on loopback: it finds studies, gives series, fails where it is told to, and counts."""

import contextlib
import http.server
import json
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pydicom

BOUNDARY = "boundary-of-the-parts"


class DICOMwebServer:
    """Serves the DICOM files of folders, one study each.

    ``fails`` holds the studies whose series end in the middle of what they promise. ``fetched`` counts by study how
    often a series was asked for, and ``queries`` keeps what studies were searched by.
    """

    def __init__(self, folders: list[Path]) -> None:
        self.files: dict[str, list[Path]] = {}
        self.headers: dict[str, pydicom.Dataset] = {}
        for folder in folders:
            paths = sorted(folder.iterdir())
            header = pydicom.dcmread(paths[0], stop_before_pixels=True)
            self.files[header.StudyInstanceUID], self.headers[header.StudyInstanceUID] = paths, header
        self.fails: set[str] = set()
        self.fetched: Counter[str] = Counter()
        self.queries: list[dict[str, str]] = []
        self.url = ""

    def answer(self, path: str, query: dict[str, str]) -> tuple[str, bytes, int]:
        """Type, content, and how many bytes more are promised than given, for a path below the service's."""
        match path.strip("/").split("/"):
            case ["studies"]:
                self.queries.append(query)
                found = [] if int(query.get("offset", 0)) else self._found(query)
                return "application/dicom+json", json.dumps([{"0020000D": _uid(uid)} for uid in found]).encode(), 0
            case ["studies", study, "series"]:
                series = self.headers[study].SeriesInstanceUID
                return "application/dicom+json", json.dumps([{"0020000E": _uid(series)}]).encode(), 0
            case ["studies", study, "series", _]:
                self.fetched[study] += 1
                paths = self.files[study]
                kept = paths[: len(paths) // 2] if study in self.fails else paths
                head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
                body = b"".join(head + path.read_bytes() + b"\r\n" for path in kept) + f"--{BOUNDARY}--".encode()
                content = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
                return content, body, 100_000 if study in self.fails else 0
        raise AssertionError(f"{path} was asked for")

    def _found(self, query: dict[str, str]) -> list[str]:
        first, _, last = query.get("StudyDate", "00000000-99999999").partition("-")
        return [uid for uid, header in self.headers.items() if first <= header.StudyDate <= (last or first)]


def _uid(text: str) -> dict:
    return {"vr": "UI", "Value": [str(text)]}


@contextlib.contextmanager
def running_dicomweb(folders):
    """A server of these folders' studies; it ends with the block."""
    server = DICOMwebServer(folders)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            address = urlsplit(self.path)
            content, body, missing = server.answer(
                address.path.removeprefix("/dicom-web"), dict(parse_qsl(address.query))
            )
            self.send_response(200)
            self.send_header("Content-Type", content)
            self.send_header("Content-Length", str(len(body) + missing))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Nothing on the terminal."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{made.server_port}/dicom-web"
        yield server
        made.shutdown()
        thread.join()
