"""The worker with a tiny network; its arguments make it misbehave (``test_process_run``)."""

import os
import subprocess
import sys
import time

from coronary_calcium import worker
from coronary_calcium.pipeline import score_case


def main(fault="noise"):
    worker.score_case = {
        "memory": _no_memory,
        "bug": _bug,
        "killed": _killed,
        "exit": _exit,
        "grandchild": _grandchild,
        "noise": _noise,
    }[fault]
    return worker.main()


def _no_memory(*arguments, **options):
    raise MemoryError


def _bug(*arguments, **options):
    raise KeyError("a bug")


def _killed(*arguments, **options):
    os.kill(os.getpid(), 9)


def _exit(*arguments, **options):
    os.write(2, b"the last words\n")
    os._exit(7)


def _grandchild(volume, model_path, device, progress, options):
    """Start a process that outlives this one, say its number, and wait for ever."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    progress(0.5, str(child.pid))
    time.sleep(600)


def _noise(volume, model_path, device, progress, options):
    """Predict with the tiny network, and write to standard output as libraries do."""
    import training_blobs

    training_blobs.shrink_network()
    sys.stdout.write("a library's greeting\n")
    sys.stdout.flush()
    os.system("echo a program's greeting")
    return score_case(volume, model_path=model_path, device=device, progress=progress, options=options)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
