"""Every clause of TrueX's contract, played against a real server."""

from pathlib import Path

import pytest

from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.transcripts import Player

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript(path: Path, venue: FluxVenue) -> None:
    Player(venue).play(path)
