"""Reading text tables: plain and gzip, and what is said about bad ones."""

import gzip
from pathlib import Path

import pytest

from crossbook.replay.tables import MAX_LINE_BYTES, BadFieldError, TableFile, TapeError, seconds_as_ms, whole_number

YEAR_MS = 366 * 86_400_000


def lines_of(path: Path) -> list[tuple[int, str]]:
    with TableFile(path) as table:
        return list(table.lines())


@pytest.mark.parametrize("name", ["tape.csv", "tape.csv.gz", "tape"])
def test_gzip_is_told_by_its_first_bytes_not_by_the_name(tmp_path: Path, name: str) -> None:
    plain, packed = tmp_path / f"plain-{name}", tmp_path / f"packed-{name}"
    plain.write_bytes(b"a,b\n1,2\n")
    packed.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert lines_of(plain) == lines_of(packed) == [(1, "a,b"), (2, "1,2")]


@pytest.mark.parametrize("text", [b"a\nb\n", b"a\nb", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb\n"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text)
    assert lines_of(path) == [(1, "a"), (2, "b")]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"")
    assert lines_of(path) == []


def test_a_torn_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" * 1000)[:-12])
    with pytest.raises(TapeError, match=r"t\.csv\.gz, line \d+: expected a whole gzip file"):
        lines_of(path)


def test_an_altered_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    data = bytearray(gzip.compress(b"a,b\n" * 1000))
    data[-5] ^= 0xFF  # in the checksum
    path.write_bytes(bytes(data))
    with pytest.raises(TapeError, match="expected a whole gzip file"):
        lines_of(path)


def test_an_endless_line_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"ok\n" + b"1" * (MAX_LINE_BYTES + 1))
    with pytest.raises(TapeError, match=f"line 2: expected at most {MAX_LINE_BYTES} bytes in a line"):
        lines_of(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"ok\n1,\xff\n")
    with pytest.raises(TapeError, match="line 2: expected text in UTF-8, got byte 0xff"):
        lines_of(path)


def test_the_position_ends_at_the_size(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" * 1000))
    with TableFile(path) as table:
        assert len(list(table.lines())) == 1000
        assert table.position_bytes == table.size_bytes == path.stat().st_size


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("0", 0),
        ("34200", 34_200_000),
        ("34200.004241176", 34_200_004),
        ("34200.9999999999", 34_200_999),
        ("1.1", 1_100),
        ("1.005", 1_005),
        ("8.12", 8_120),
        ("1700000000.123", None),
        ("", None),
        (".5", None),
        ("1.", None),
        ("-1", None),
        ("1e3", None),
        ("1.2.3", None),
        ("1.+5", None),
        (" 1", None),
        ("٣", None),
        ("9" * 30, None),
    ],
)
def test_times_are_converted_on_their_digits(text: str, time_ms: int | None) -> None:
    if time_ms is not None:
        assert seconds_as_ms([text], 0, YEAR_MS) == time_ms
        return
    with pytest.raises(BadFieldError, match="a time in seconds"):
        seconds_as_ms([text], 0, YEAR_MS)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1_0", " 1", "0x1", "²", "٣", "0", "11", "9" * 5000])
def test_whole_numbers_are_plain_digits_in_range(text: str) -> None:
    assert whole_number(["10"], 0, 1, 10) == 10
    with pytest.raises(BadFieldError, match="a whole number from 1 to 10"):
        whole_number([text], 0, 1, 10)
