"""What is rejected before anything goes over the network, and what a server may not make the command do."""

import http.server
import sys
import threading

import pydicom
import pytest

pytest.importorskip("dicomweb_client", reason="dicomweb-client is not installed (the extra dicomweb)")

from coronary_calcium import dicomweb
from coronary_calcium.cli.main import main
from coronary_calcium.errors import InputError
from dicom_tools import scored_series

STUDY, SERIES = "1.2.3", "1.2.3.4"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    for name in (dicomweb.USER, dicomweb.PASSWORD, dicomweb.TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def server():
    """A small server on loopback that answers every request with ``answer`` (status, headers, body) and keeps them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers.get("Authorization")))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = Handler.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *args):
            """Nothing on the terminal."""

    seen = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        Handler.seen, Handler.url = seen, f"http://127.0.0.1:{made.server_port}/dicom-web"
        yield Handler
        made.shutdown()
        thread.join()


def rejection(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "url", ["pacs", "ftp://pacs/dicom-web", "https://", "https://pacs/dicom-web?study=1", "file:///etc/passwd"]
)
def test_what_is_no_address_is_rejected(url):
    assert rejection(dicomweb.check_servers, url).code == "dicomweb-url"


@pytest.mark.parametrize("url", ["https://me:secret@pacs/dicom-web", "https://me@pacs/dicom-web"])
def test_a_password_in_the_address_is_rejected_and_not_repeated(url):
    error = rejection(dicomweb.check_servers, url)
    assert error.code == "dicomweb-url"
    assert "secret" not in str(error) and "netrc" in str(error)


def test_credentials_do_not_travel_unencrypted(monkeypatch):
    monkeypatch.setenv(dicomweb.TOKEN, "token")
    assert rejection(dicomweb.check_servers, "http://pacs/dicom-web").code == "dicomweb-credentials"
    dicomweb.check_servers("https://pacs/dicom-web")
    dicomweb.check_servers("http://127.0.0.1:8042/dicom-web")


def test_credentials_of_netrc_do_not_travel_unencrypted_either(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine pacs login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert rejection(dicomweb.check_servers, "http://pacs/dicom-web").code == "dicomweb-credentials"


def test_the_environments_credentials_do_not_go_to_two_servers(monkeypatch):
    monkeypatch.setenv(dicomweb.USER, "me")
    one, two = "https://one/dicom-web", "https://two/dicom-web"
    assert rejection(dicomweb.check_servers, one, two).code == "dicomweb-credentials"
    dicomweb.check_servers(one, one)
    dicomweb.check_servers(one, None)


def test_a_token_is_sent_as_such(server, monkeypatch, tmp_path):
    monkeypatch.setenv(dicomweb.TOKEN, "abc")
    server.answer = (404, {}, b"")
    rejection(dicomweb.fetch_series, server.url, STUDY, SERIES, tmp_path)
    assert server.seen == [(f"/dicom-web/studies/{STUDY}/series/{SERIES}", "Bearer abc")]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirections_are_not_followed(server, status, tmp_path):
    result = scored_series(tmp_path / "ct")
    server.answer = (status, {"Location": f"{server.url}/elsewhere"}, b"")
    for call, arguments in (
        (dicomweb.fetch_series, (STUDY, SERIES, tmp_path)),
        (dicomweb.store, ([result.volume.series.files[0]],)),
    ):
        assert "redirects" in str(rejection(call, server.url, *arguments))
    assert [path for path, _ in server.seen] == [f"/dicom-web/studies/{STUDY}/series/{SERIES}", "/dicom-web/studies"]


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": "text/html"}, b"<html>Log in</html>"),
        (200, {"Content-Type": "multipart/related; boundary=x"}, b"--x\r\n\r\nnot DICOM\r\n--x--"),
        (500, {}, b""),
        (503, {}, b""),
    ],
)
def test_answers_that_are_no_dicom_are_rejected(server, answer, tmp_path):
    server.answer = answer
    assert rejection(dicomweb.fetch_series, server.url, STUDY, SERIES, tmp_path).code in (
        "dicomweb-failed",
        "dicomweb-empty",
    )
    assert len(server.seen) == 1


def test_objects_that_the_server_does_not_confirm_are_not_said_to_be_stored(server, tmp_path):
    result = scored_series(tmp_path / "ct")
    path = result.volume.series.files[0]
    server.answer = (200, {"Content-Type": "application/dicom+json"}, b"{}")
    assert rejection(dicomweb.store, server.url, [path]).code == "dicomweb-not-stored"
    stored = pydicom.Dataset()
    stored.ReferencedSOPSequence = [pydicom.Dataset()]
    stored.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = pydicom.dcmread(path).SOPInstanceUID
    server.answer = (200, {"Content-Type": "application/dicom+json"}, stored.to_json().encode())
    dicomweb.store(server.url, [path])


def test_a_server_that_is_not_there_is_rejected_at_once(tmp_path):
    assert (
        rejection(dicomweb.fetch_series, "http://127.0.0.1:9/dicom-web", STUDY, SERIES, tmp_path).code
        == "dicomweb-failed"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["ct", "--from-dicomweb", "https://pacs", "--study", STUDY, "--series", SERIES],
        ["--from-dicomweb", "https://pacs", "--series", SERIES],
        ["--from-dicomweb", "https://pacs", "--study", STUDY],
        ["--from-dicomweb", "https://pacs", "--study", "../1", "--series", SERIES],
        ["--from-dicomweb", "https://pacs", "--study", "1." * 33 + "1", "--series", SERIES],
        ["ct", "--study", STUDY],
    ],
)
def test_half_an_order_is_wrong_usage(arguments, tmp_path, capsys):
    assert main(["score", *arguments, "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_the_package_the_rejection_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dicomweb_client", None)
    assert "pip install" in str(rejection(dicomweb.check_servers, "https://pacs/dicom-web"))
