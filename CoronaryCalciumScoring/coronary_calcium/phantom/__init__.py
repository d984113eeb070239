"""The QRM cardiac calcification insert: its truth, a simulated scan of it, and its scores in a real one."""
