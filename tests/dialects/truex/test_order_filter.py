"""The filter language: what it takes, and what it refuses, naming what is wrong."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.application.order_filters import Column, Condition, Operator, OrderStage
from crossbook.dialects.truex.errors import Problem
from crossbook.dialects.truex.order_filter import MAX_CONDITIONS, MAX_LENGTH, MAX_VALUES, parse


def filter_of(name: object, *comparisons: object) -> str:
    return json.dumps({"columns": [{"name": name, "filter": list(comparisons)}]})


def test_nothing_asked_is_no_condition() -> None:
    assert parse(None) == parse("") == []


def test_the_example_of_the_contract() -> None:
    text = '{"columns":[{"name":"status","filter":[{"$in":["REJECTED","CANCELED"]}]}]}'
    stages = (OrderStage.REJECTED.value, OrderStage.CANCELED.value)
    assert parse(text) == [Condition(Column.STAGE, Operator.IN, stages)]


def test_values_are_of_their_columns_kind() -> None:
    assert parse(filter_of("price", {"$gte": "66000.5", "$lt": 67000})) == [
        Condition(Column.PRICE, Operator.GTE, (Decimal("66000.5"),)),
        Condition(Column.PRICE, Operator.LT, (Decimal(67000),)),
    ]
    assert parse(filter_of("qty", {"$eq": 0.1}))[0].values == (Decimal("0.1"),)
    assert parse(filter_of("id", {"$nin": ["7", 8]}))[0].values == (7, 8)
    assert parse(filter_of("side", {"$ne": "SELL"}))[0].values == (2,)
    assert parse(filter_of("external_id", {"$gt": ""}))[0].values == ("",)
    assert parse(filter_of("timestamp", {"$lte": "1741523275598727336"}))[0].values == (1741523275598727336,)


WRONG: list[tuple[str, str]] = [
    ("{", "query must be JSON"),
    ("[]", "query must be an object with columns and nothing else"),
    ('{"columns": []}', "query.columns must be a list of 1 to 16"),
    ('{"columns": [], "$where": "1=1"}', "query must be an object with columns and nothing else"),
    ('{"columns": [{"name": "status"}]}', "query.columns[0] must be an object with name and filter"),
    (filter_of("account_id", {"$eq": "1"}), "query.columns[0].name must be one of id, client_id"),
    (filter_of("status; DROP TABLE orders", {"$eq": "1"}), "not 'status; DROP TABLE orders'"),
    (filter_of(["status"], {"$eq": "1"}), "query.columns[0].name must be one of"),
    (filter_of("status"), "query.columns[0].filter must be a list of 1 to"),
    (filter_of("status", {}), "query.columns[0].filter[0] must be an object with an operator"),
    (filter_of("status", "ACTIVE"), "query.columns[0].filter[0] must be an object with an operator"),
    (filter_of("status", {"$regex": ".*"}), "must use one of $eq, $ne, $in, $nin, $gt, $gte, $lt, $lte, not '$regex'"),
    (filter_of("status", {"$gt": "ACTIVE"}), "must not use $gt on status: it has no order"),
    (filter_of("status", {"$eq": "OPEN"}), "query.columns[0].filter[0].$eq must be one of INITIALIZED, NEW_PENDING"),
    (filter_of("status", {"$in": "ACTIVE"}), "query.columns[0].filter[0].$in must be a list of 1 to 100"),
    (filter_of("status", {"$in": []}), "must be a list of 1 to 100"),
    (filter_of("id", {"$in": list(range(MAX_VALUES + 1))}), "must be a list of 1 to 100"),
    (filter_of("id", {"$eq": "1 OR 1=1"}), "must be a whole number from 0 to 9223372036854775807"),
    (filter_of("id", {"$eq": "9223372036854775808"}), "must be a whole number"),
    (filter_of("id", {"$eq": -1}), "must be a whole number"),
    (filter_of("id", {"$eq": True}), "must be a text or a number"),
    (filter_of("id", {"$eq": None}), "must be a text or a number"),
    (filter_of("id", {"$eq": ["1"]}), "must be a text or a number"),
    (filter_of("price", {"$eq": "1e5"}), "must be a decimal number"),
    (filter_of("price", {"$eq": "NaN"}), "must be a decimal number"),
    (filter_of("price", {"$eq": "1" * 21}), "must be a decimal number"),
    (filter_of("external_id", {"$eq": "x" * 65}), "must be plain text of at most 64 characters"),
    (filter_of("external_id", {"$eq": "ü"}), "must be plain text"),
    (filter_of("external_id", {"$eq": "\0"}), "must be plain text"),
    (filter_of("price", {"$eq": {"$gt": "1"}}), "must be a text or a number"),
    (filter_of("price", {"$in": [[["1"]]]}), "nested 6 deep at most"),
    ("[" * 2_000 + "]" * 2_000, "nested 6 deep at most"),
    (filter_of("price", *[{"$gt": "1"}] * (MAX_CONDITIONS + 1)), f"must be a list of 1 to {MAX_CONDITIONS}"),
    (
        json.dumps({"columns": [{"name": "price", "filter": [{"$gt": "1"}] * MAX_CONDITIONS}] * 2}),
        f"must not have more than {MAX_CONDITIONS} conditions",
    ),
    (" " * (MAX_LENGTH + 1), f"must not be longer than {MAX_LENGTH} characters"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_named(text: str, words: str) -> None:
    with pytest.raises(Problem) as refused:
        parse(text)
    assert words in refused.value.detail
    assert refused.value.kind.status == 400


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.text()
    | json_values.map(json.dumps)
    | st.builds(
        filter_of,
        st.sampled_from(["status", "price", "external_id", "id", "nothing"]),
        st.dictionaries(st.sampled_from(["$eq", "$in", "$gt", "$x"]), json_values, min_size=1, max_size=2),
    )
)
def test_anything_else_is_a_refusal_and_never_a_crash(text: str) -> None:
    with suppress(Problem):
        assert parse(text) is not None
