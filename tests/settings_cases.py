"""Settings that tests begin with."""

from pathlib import Path

import pytest

from crossbook.settings import SettingsError
from crossbook.settings_loading import LoadedSettings, load

GOOD_SECRET = "q9X2vB7nM4kL8jH3gF6dS1aZ5xC0wErTyU"
DATABASE_URL = "postgresql://crossbook:hunter2@db.example/venue"
REDIS_URL = "rediss://:hunter3@redis.example:6380/0"
SEALING_KEY = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
PRODUCTION = {
    "RUNTIME_MODE": "production",
    "DATABASE_URL": DATABASE_URL,
    "REDIS_URL": REDIS_URL,
    "JWT_SECRET": GOOD_SECRET,
    "CROSSBOOK_SEALING_KEYS": SEALING_KEY,
}


def problems(environment: dict[str, str], file: Path | None = None, **overrides: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environment, file, overrides)
    return caught.value.problems


def in_production(**changed: str) -> LoadedSettings:
    return load({**PRODUCTION, **changed})
