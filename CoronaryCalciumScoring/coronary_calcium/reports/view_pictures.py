"""Pictures of a reader's slice views, which a viewer draws and the report shows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ViewPicture:
    """A PNG, and what it shows in words."""

    png: bytes
    caption: str
