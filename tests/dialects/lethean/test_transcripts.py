"""Every clause of Lethean's contract, played against a real server."""

from pathlib import Path

import pytest

from tests.dialects.lethean.transcripts import Player
from tests.dialects.lethean.venue import LetheanVenue

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript(path: Path, venue: LetheanVenue) -> None:
    Player(venue).play(path)
    assert venue.recorded.crashes == []
