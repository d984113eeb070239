"""`coronary-calcium` with a tiny network, for the tests that start, stop and kill a training run."""

import sys

from coronary_calcium.cli.main import main
from training_blobs import shrink_network

if __name__ == "__main__":
    shrink_network()
    sys.exit(main(sys.argv[1:]))
