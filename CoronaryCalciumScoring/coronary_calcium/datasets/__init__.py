"""Data sets of CTs with coronary calcium marked or scored, as users have them on disk.

``registry.open_data_set`` tells a folder's layout and lists its cases; ``prepare`` makes training cases of them.
"""
