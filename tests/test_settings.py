"""Settings: which values do not fit together, what production asks for, what is hidden."""

from dataclasses import FrozenInstanceError, replace

import pytest

from crossbook.settings import Settings, SettingsError, all_settings
from crossbook.settings_loading import load
from tests.settings_cases import DATABASE_URL, GOOD_SECRET, PRODUCTION, REDIS_URL, in_production, problems


# -- What is refused -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"CROSSBOOK_DATABASE_POOL_MIN": "9", "CROSSBOOK_DATABASE_POOL_MAX": "8"}, "database_pool_min"),
        ({"DATABASE_URL": "mysql://u:hunter2@h/d"}, "DATABASE_URL must begin with postgresql://"),
        ({"DATABASE_URL": "postgresql://u:hunter2@[::1/d"}, "DATABASE_URL can not be read"),
        ({"REDIS_URL": "http://u:hunter2@h"}, "REDIS_URL must begin with redis://"),
        ({"JWT_SECRET": "hunter2"}, "JWT_SECRET is shorter than 32 bytes"),
    ],
)
def test_values_must_fit_together_and_no_problem_repeats_a_secret(environment: dict[str, str], problem: str) -> None:
    (found,) = problems(environment)
    assert found.startswith(problem)
    assert "hunter2" not in found


def test_the_class_itself_keeps_the_rules() -> None:
    with pytest.raises(SettingsError, match="port must be a whole number"):
        Settings(port=-1)
    with pytest.raises(SettingsError, match="port must be a whole number"):
        replace(Settings(), port=True)
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


# -- Production --------------------------------------------------------------------------------------
def test_production_starts_nothing_of_its_own() -> None:
    settings = in_production().settings
    assert settings.production
    assert (settings.bots, settings.demo, settings.log_format) == (False, False, "json")
    assert (settings.database_url, settings.redis_url, settings.jwt_secret) == (DATABASE_URL, REDIS_URL, GOOD_SECRET)


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "CROSSBOOK_SEALING_KEYS"])
def test_production_needs_what_the_embedded_venue_brings(name: str) -> None:
    for environment in (
        {**PRODUCTION, name: ""},
        {key: value for key, value in PRODUCTION.items() if key != name},
    ):
        assert problems(environment) == (f"{name} is not set, and production needs it.",)


@pytest.mark.parametrize("name", ["bots", "demo"])
def test_production_has_no_bots_and_no_demo(name: str) -> None:
    found = problems({**PRODUCTION, f"CROSSBOOK_{name.upper()}": "true"})
    assert found == (f"{name} must be false in production.",)


@pytest.mark.parametrize(
    "secret",
    [
        "hunter2",
        GOOD_SECRET[:31],
        "change-me-change-me-change-me-please",
        "your-256-bit-secret-0123456789-abcd",
        "a-demo-only-4f7Kq02Lz9XcVb81MnPwR5",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "Xq7kP2mZXq7kP2mZXq7kP2mZXq7kP2mZ",
        "abcdefghijklmnopqrstuvwxyz0123456789",
    ],
)
def test_production_refuses_a_secret_that_can_be_guessed(secret: str) -> None:
    (problem,) = problems({**PRODUCTION, "JWT_SECRET": secret})
    assert problem.startswith("JWT_SECRET is ")
    assert secret not in problem


def test_the_embedded_venue_takes_a_demo_secret() -> None:
    secret = "change-me-change-me-change-me-please"
    assert load({"JWT_SECRET": secret}).settings.jwt_secret == secret


# -- What is shown -----------------------------------------------------------------------------------
def test_secrets_are_masked() -> None:
    settings = in_production().settings
    masked = settings.masked()
    assert set(masked) == {item.name for item in all_settings()}
    assert masked["database_url"] == "postgresql://crossbook:***@db.example/venue"
    assert masked["redis_url"] == "rediss://:***@redis.example:6380/0"
    assert masked["jwt_secret"] == "***"
    assert (masked["port"], masked["bots"], masked["runtime_mode"]) == ("8000", "false", "production")
    for shown in (repr(settings), str(settings), repr(in_production())):
        assert not any(secret in shown for secret in ("hunter2", "hunter3", GOOD_SECRET))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hun/ter2@h/d",
        "postgresql://u:hun@ter2@h/d",
        "postgresql://u@h/d?password=ter2",
        "postgresql://u:x@h/d?sslpassword=ter2&a=b",
    ],
)
def test_odd_urls_do_not_leak_their_password(url: str) -> None:
    shown = Settings(database_url=url).masked()["database_url"]
    assert "ter2" not in shown
    assert shown.startswith("postgresql://u")


def test_what_is_not_set_is_shown_as_such() -> None:
    masked = Settings().masked()
    assert (masked["database_url"], masked["jwt_secret"], masked["trusted_proxies"]) == ("", "", "")


# -- Documentation -----------------------------------------------------------------------------------
def test_every_setting_is_documented() -> None:
    for item in all_settings():
        assert item.terms.doc.endswith("."), item.name
        assert item.type_words
        assert "|" not in item.terms.doc + item.type_words


def test_every_default_fits() -> None:
    for item in all_settings():
        for production in (False, True):
            assert item.fault_of(item.default_for(production)) == "", item.name
