"""Many cases: found, scored on Dask with their state in one file, exported, and read by several readers."""
