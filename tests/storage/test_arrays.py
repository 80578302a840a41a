"""Arrays of numbers go to the server as text, and arrive as what they were."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossbook.storage.arrays import array_text, with_text
from crossbook.storage.database import Database
from crossbook.storage.errors import StatementFailed
from tests.storage.support import using

BIGINTS = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=20)
NUMERICS = st.lists(st.integers(-(10**38) + 1, 10**38 - 1), max_size=20)
BOOLEANS = st.lists(st.booleans(), max_size=20)


def test_numbers_arrive_as_they_were(database_url: str) -> None:
    async def scene(database: Database) -> None:
        async with database.each_alone() as transaction:

            async def come_back(kind: str, values: list[Any]) -> list[Any]:
                found = await transaction.value(f"SELECT $1::{kind}[]", values)
                return list(found)

            examples: list[tuple[str, list[Any]]] = []

            @given(BIGINTS, NUMERICS, BOOLEANS)
            @settings(max_examples=30)
            def collect(bigints: list[int | None], numerics: list[int], booleans: list[bool]) -> None:
                examples.extend([("bigint", bigints), ("numeric", numerics), ("boolean", booleans)])

            collect()
            for kind, values in examples:
                assert await come_back(kind, values) == values

    using(database_url, scene)


@pytest.mark.parametrize("value", ["1,2", "1}", "x", 1.5, [1], b"1"])
def test_what_is_no_whole_number_is_refused(database_url: str, value: object) -> None:
    async def scene(database: Database) -> None:
        async with database.each_alone() as transaction:
            await transaction.value("SELECT $1::bigint[]", [value, 7])

    with pytest.raises(StatementFailed):
        using(database_url, scene)


def test_only_arrays_of_numbers_are_changed() -> None:
    statement = "SELECT $1, $2::text[], $3::bigint, $10::bigint[] WHERE a = ANY ($4::smallint[])"
    values = [1, ["a"], 3, [4, 5], 5, 6, 7, 8, 9, None]
    changed, taken = with_text(statement, values)
    assert changed == "SELECT $1, $2::text[], $3::bigint, $10::text::bigint[] WHERE a = ANY ($4::text::smallint[])"
    assert taken == [1, ["a"], 3, "{4,5}", 5, 6, 7, 8, 9, None]
    assert with_text("SELECT $1::text[]", [["a"]]) == ("SELECT $1::text[]", [["a"]])
    assert array_text(()) == "{}"
