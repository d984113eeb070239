"""The patients on which weights are measured: 144 as in the paper, 100 chest and 44 cardiac scans.

Training never uses these seeds, nor any above them.
"""

CHEST_SEEDS = range(900_000, 900_100)
CARDIAC_SEEDS = range(900_100, 900_144)
# Seed and kind of scan of every patient, in order.
TEST_SET = tuple((seed, "chest") for seed in CHEST_SEEDS) + tuple((seed, "cardiac") for seed in CARDIAC_SEEDS)
FIRST_TEST_SEED = CHEST_SEEDS[0]
