"""Fetching a series from a DICOMweb server and storing objects on one; nothing here runs unless a server is named.

Credentials come from the environment or from netrc, never from the command line, where other users of the machine can
read them. Redirections are not followed: nothing goes to another address than the one given.
"""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress, no_progress

if TYPE_CHECKING:
    import requests
    from dicomweb_client import DICOMwebClient
    from pydicom.dataset import Dataset

# User and password, or a bearer token, for the server; without them, netrc's entry for its host is used.
USER, PASSWORD, TOKEN = "DICOMWEB_USER", "DICOMWEB_PASSWORD", "DICOMWEB_TOKEN"
# Seconds to connect, and between two pieces of an answer: an archive may have to read tapes first.
_TIMEOUT = (10, 300)
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_LONGEST_UID = 64
# Studies asked for at a time.
_PAGE = 100


def check_servers(*urls: str | None) -> None:
    """Reject addresses and credentials that cannot be used safely, before any work; None is passed over.

    Raises InputError: ``"dicomweb-url"``, ``"dicomweb-credentials"``, ``"dicomweb-missing"``.
    """
    given = [url for url in urls if url is not None]
    for url in given:
        _client(url)
    hosts = {urlsplit(url).netloc.lower() for url in given}
    if len(hosts) > 1 and (os.environ.get(USER) or os.environ.get(TOKEN)):
        raise InputError(
            "dicomweb-credentials",
            f"The credentials in {USER} or {TOKEN} would go to both servers: put them into netrc, which has an entry "
            "for each host, and unset the variables.",
        )


def is_uid(text: str) -> bool:
    """Whether a text can be a DICOM unique identifier."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def fetch_series(
    url: str, study_uid: str, series_uid: str, folder: Path, progress: Progress = no_progress
) -> list[Path]:
    """Fetch every instance of a series into numbered files of an existing folder; returns their paths.

    Raises InputError: those of ``check_servers``, ``"dicomweb-failed"``, ``"dicomweb-empty"``, and what
    ``progress`` raises.
    """
    client = _client(url)
    paths: list[Path] = []
    with _failures("fetched from"):
        instances = client.iter_series(study_uid, series_uid, media_types=(("application/dicom", "*"),))
        for dataset in instances:
            progress(0.0, f"Fetching slice {len(paths) + 1}")
            paths.append(folder / f"{len(paths):06d}.dcm")
            _save(dataset, paths[-1])
    if not paths:
        raise InputError(
            "dicomweb-empty", "The DICOMweb server holds no such series: check --study, --series and the address."
        )
    return paths


def find_ct_studies(url: str, query: Mapping[str, str]) -> list[str]:
    """The identifiers of the studies with CT series that a server finds for ``query``, DICOM keyword: value.

    Raises InputError: those of ``check_servers``, ``"dicomweb-failed"``, and ``"dicomweb-empty"`` when it finds none.
    """
    client, found, offset = _client(url), [], 0
    with _failures("found on"):
        while True:
            # A server may give fewer than asked for, but none only at the end.
            answer = client.search_for_studies(
                search_filters={"ModalitiesInStudy": "CT", **query}, limit=_PAGE, offset=offset
            )
            if not answer:
                break
            found += [str(study["0020000D"]["Value"][0]) for study in answer]
            offset += len(answer)
    studies = [uid for uid in dict.fromkeys(found) if is_uid(uid)]
    if not studies:
        raise InputError("dicomweb-empty", "The DICOMweb server finds no CT study for this --query: check it.")
    return studies


def fetch_ct_study(url: str, study_uid: str, folder: Path, progress: Progress = no_progress) -> list[Path]:
    """Fetch every CT series of a study into a folder, as ``fetch_series``; returns the paths."""
    client = _client(url)
    with _failures("found on"):
        answer = client.search_for_series(study_uid, search_filters={"Modality": "CT"})
        series = [str(one["0020000E"]["Value"][0]) for one in answer]
    paths: list[Path] = []
    for number, uid in enumerate(uid for uid in series if is_uid(uid)):
        place = folder / f"series-{number}"
        place.mkdir()
        paths += fetch_series(url, study_uid, uid, place, progress)
    return paths


def _save(dataset: "Dataset", path: Path) -> None:
    try:
        dataset.save_as(path)
    except OSError as error:
        raise InputError(
            "temporary-folder",
            f"The series cannot be kept while it is scored ({error.strerror or error}): free space in the temporary "
            "folder, or name another with TMPDIR.",
        ) from None


def store(url: str, files: list[Path]) -> None:
    """Store DICOM files on a server, and make sure that it says it has all of them.

    Raises InputError: those of ``check_servers``, ``"dicomweb-failed"``, ``"dicomweb-not-stored"``.
    """
    import pydicom  # noqa: PLC0415 - only needed once a server is named

    client = _client(url)
    datasets = [pydicom.dcmread(path) for path in files]
    with _failures("stored on"):
        answer = client.store_instances(datasets)
    stored = {str(item.ReferencedSOPInstanceUID) for item in _items(answer, "ReferencedSOPSequence")}
    lost = sum(str(dataset.SOPInstanceUID) not in stored for dataset in datasets)
    if lost:
        raise InputError(
            "dicomweb-not-stored",
            f"The DICOMweb server did not confirm {lost} of {len(datasets)} DICOM objects: they are in the output "
            "folder, from which they can be sent again.",
        )


def _items(dataset: "Dataset", keyword: str) -> list["Dataset"]:
    return list(dataset.get(keyword) or ())


def _client(url: str) -> "DICOMwebClient":
    """A client for one server."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InputError("dicomweb-url", "The DICOMweb address is not one such as https://host/dicom-web: check it.")
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "dicomweb-url",
            f"The DICOMweb address holds a user name or password, which others can read there: put them into netrc, or "
            f"into {USER} and {PASSWORD}.",
        )
    try:
        import requests  # noqa: PLC0415 - not installed unless the extra is
        from dicomweb_client import DICOMwebClient  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "dicomweb-missing",
            "The package dicomweb-client is not installed: pip install 'coronary-calcium-scoring[dicomweb]'.",
        ) from None
    session = requests.Session()
    session.max_redirects = 0
    _add_credentials(session, url)
    client = DICOMwebClient(url=url.rstrip("/"), session=session, timeout=_TIMEOUT)
    client.set_http_retry_params(retry=False)
    return client


def _add_credentials(session: "requests.Session", url: str) -> None:
    """Credentials of the environment for a session of requests, which itself looks into netrc otherwise."""
    import requests  # noqa: PLC0415 - not installed unless the extra is

    parts = urlsplit(url)
    user, token = os.environ.get(USER), os.environ.get(TOKEN)
    known = user or token or requests.utils.get_netrc_auth(url)
    if known and parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise InputError(
            "dicomweb-credentials",
            "The credentials would travel unencrypted over http: use the server's https address, or remove them.",
        )
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
        # requests would replace the header by netrc's entry.
        session.trust_env = False
    elif user:
        session.auth = (user, os.environ.get(PASSWORD, ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _failures(done: str) -> Iterator[None]:
    """Say in a sentence why a server did not do what it was asked; addresses and identifiers are left out."""
    import requests  # noqa: PLC0415 - not installed unless the extra is
    from pydicom.errors import InvalidDicomError  # noqa: PLC0415 - only needed once a server is named

    remedy = "check the address, the network and your rights there"
    try:
        yield
    except InputError:
        raise
    except requests.HTTPError as error:
        status = None if error.response is None else error.response.status_code
        reason = {401: "it asks for credentials", 403: "it forbids it", 404: "it has no such series or service"}
        said = reason.get(status or 0, f"it answered with status {status}")
        raise InputError("dicomweb-failed", f"Nothing was {done} the DICOMweb server, {said}: {remedy}.") from None
    except requests.TooManyRedirects:
        raise InputError(
            "dicomweb-failed",
            f"Nothing was {done} the DICOMweb server, it redirects to another address: give that address itself.",
        ) from None
    except requests.RequestException as error:
        raise InputError(
            "dicomweb-failed",
            f"Nothing was {done} the DICOMweb server ({type(error).__name__}): {remedy}.",
        ) from None
    except (InvalidDicomError, ValueError, KeyError, IndexError, AttributeError, TypeError, EOFError):
        raise InputError(
            "dicomweb-failed",
            f"Nothing was {done} the DICOMweb server, its answer is not DICOMweb's: {remedy}.",
        ) from None
