"""Every clause of Flux's contract, played against a real server."""

from pathlib import Path

import pytest

from crossbook.dialects.flux.errors import STATUS, Code
from tests.dialects.flux.transcripts import Player
from tests.dialects.flux.venue import FluxVenue

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
NOT_HERE = {Code.REQUEST_TIMEOUT}
"""Codes of the wire that tests/dialects/test_endpoint.py shows: a transcript cannot send slowly."""


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript(path: Path, venue: FluxVenue) -> None:
    Player(venue).play(path)


@pytest.mark.parametrize("code", sorted(set(Code) - NOT_HERE))
def test_every_code_has_a_transcript_with_its_status(code: Code) -> None:
    texts = [path.read_text() for path in TRANSCRIPTS]
    shown = [text for text in texts if f'"code": "{code}"' in text]
    assert any(f"< {STATUS[code]}\n" in text for text in shown)
