"""A cohort from a DICOMweb server, through the command: what is fetched, how often, and what is kept of whom."""

import pytest
from command_cases import SPACING, patient_hu, run, write_weights
from coronary_calcium import dicomweb
from coronary_calcium.cohort.state import select
from dicom_factory import write_series
from dicomweb_server import running_dicomweb

pytest.importorskip("distributed", reason="pip install 'coronary-calcium-scoring[cohort]'")
pytest.importorskip("dicomweb_client", reason="pip install 'coronary-calcium-scoring[dicomweb]'")

NAMES = ("Aalto^Aino", "Brahms^Berta", "Curie^Clara")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Two studies of January, of which the first is cut off in the middle, and one of February."""
    for name in (dicomweb.USER, dicomweb.PASSWORD, dicomweb.TOKEN):
        monkeypatch.delenv(name, raising=False)
    folders = [tmp_path / f"pacs-{number}" for number in range(len(NAMES))]
    for number, (folder, name) in enumerate(zip(folders, NAMES, strict=True)):
        write_series(
            folder,
            patient_hu(),
            spacing=SPACING,
            StudyInstanceUID=f"1.2.77.{number}",
            StudyDate="20260201" if number == 2 else f"2026010{number + 1}",
            PatientName=name,
            PatientID=f"PID-77{number}",
        )
    with running_dicomweb(folders) as made:
        made.fails = {"1.2.77.0"}
        yield made


@pytest.fixture
def worker():
    """The scheduler's address of one worker, which all runs of a test use: it loads the network once."""
    from coronary_calcium.cohort.dask_run import LocalPlan, cluster_client

    with cluster_client(None, LocalPlan(1, 1, 2**31, 0)) as client:
        yield client.scheduler.address


def test_a_server_s_studies_are_scored_each_fetched_once_and_a_broken_one_does_not_stop_the_other(
    server, worker, tmp_path
):
    output = tmp_path / "cohort"
    common = ("--output", output, "--scheduler", worker, "--device", "cpu", "--weights", write_weights(tmp_path))
    january = ("cohort", "run", "--from-dicomweb", server.url, "--query", "StudyDate=20260101-20260131", *common)
    first = run(*january)
    assert first.code == 0, first.err
    assert server.queries[0]["StudyDate"] == "20260101-20260131"
    states = "SELECT id, state, code FROM cohort"
    assert select(output, states)[1] == [("case-000001", "failed", "dicomweb-failed"), ("case-000002", "done", "")]
    assert server.fetched == {"1.2.77.0": 1, "1.2.77.1": 1}

    again = run(*january)
    assert again.code == 0 and server.fetched.total() == 2
    server.fails.clear()
    mended = run("cohort", "run", *common, "--redo", "failed")
    assert mended.code == 0, mended.err
    assert select(output, states)[1] == [("case-000001", "done", ""), ("case-000002", "done", "")]
    assert server.fetched == {"1.2.77.0": 2, "1.2.77.1": 1}

    said = "".join(outcome.out + outcome.err for outcome in (first, again, mended))
    said += "".join(str(select(output, f"SELECT * FROM {view}")) for view in ("cohort", "warnings", "lesions"))
    said += str(select(output, "SELECT id, reason, log FROM case_state"))
    files = [path for path in output.rglob("*") if path.is_file() and "cohort.sqlite" not in path.name]
    assert {"cohort.csv", "cohort.html", "report.html", "scores.json", "case.json"} <= {path.name for path in files}
    for word in ("1.2.77", "PID-77", *(name.split("^")[0] for name in NAMES), server.url):
        assert word not in said
        assert not [path for path in files if word.encode() in path.read_bytes() or word in str(path)]
