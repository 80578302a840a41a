"""Settings: where values come from, what is refused, what is hidden."""

import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from crossbook.settings import LoadedSettings, RuntimeMode, Settings, SettingsError, all_settings, load
from crossbook.settings_page import settings_page

ROOT = Path(__file__).parent.parent
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


def written(folder: Path, text: str) -> Path:
    file = folder / "crossbook.toml"
    file.write_text(text)
    return file


# -- Where values come from --------------------------------------------------------------------------
def test_nothing_given_is_the_embedded_venue() -> None:
    settings = load({}).settings
    assert settings.runtime_mode is RuntimeMode.EMBEDDED
    assert not settings.production
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path("data"))
    assert (settings.bots, settings.demo, settings.log_format) == (True, True, "auto")
    assert settings == Settings()


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    file = written(tmp_path, "port = 1\nseed = 2\nhost = 'file.example'\nbots = false")
    environment = {"CROSSBOOK_PORT": "11", "CROSSBOOK_SEED": "12", "CROSSBOOK_HOST": ""}
    loaded = load(environment, file, {"port": 21, "data_dir": None})
    settings = loaded.settings
    assert (settings.port, settings.seed, settings.host, settings.bots) == (21, 12, "file.example", False)
    shown = {name: loaded.origins[name] for name in ("port", "seed", "host", "data_dir")}
    assert shown == {
        "port": "command line",
        "seed": "environment: CROSSBOOK_SEED",
        "host": "file: host",
        "data_dir": "default",
    }


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "port = 9001")
    assert load({"CROSSBOOK_SETTINGS_FILE": str(file)}).settings.port == 9001


def test_the_process_s_own_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CROSSBOOK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CROSSBOOK_PORT", "9002")
    assert load().settings.port == 9002


@pytest.mark.parametrize("name", [name for item in all_settings() for name in item.environment_names])
def test_every_name_in_the_environment_is_known(name: str) -> None:
    """A text that only a text or a path may be: it is kept, or refused by its name; none is passed over."""
    field = name.removeprefix("CROSSBOOK_").lower()
    if field in {"host", "data_dir", "index_venues_file"}:
        assert load({name: "?!"}).origins[field] == f"environment: {name}"
    else:
        (problem,) = problems({name: "?!"})
        assert problem.upper().removeprefix("CROSSBOOK_").startswith(field.upper())


@pytest.mark.parametrize("field", ["runtime_mode", "database_url", "redis_url", "jwt_secret"])
def test_the_contract_s_bare_names_have_a_long_form_too(field: str) -> None:
    names = {item.name: item.environment_names for item in all_settings()}[field]
    assert names == (field.upper(), f"CROSSBOOK_{field.upper()}")


def test_two_names_of_one_setting_must_agree() -> None:
    both = {"JWT_SECRET": GOOD_SECRET, "CROSSBOOK_JWT_SECRET": GOOD_SECRET}
    assert load(both).settings.jwt_secret == GOOD_SECRET
    found = problems({**both, "JWT_SECRET": GOOD_SECRET[::-1]})
    assert found == ("JWT_SECRET and CROSSBOOK_JWT_SECRET differ; set one of them.",)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", " 0 ", 0),
        ("snapshot_every_commands", "1_000", 1000),
        ("bots", "Off", False),
        ("bots", "1", True),
        ("log_level", "WARNING", "warning"),
        ("data_dir", "a/b", Path("a/b")),
        ("data_dir", "~", Path("~").expanduser()),
        ("jwt_secret", GOOD_SECRET + " ", GOOD_SECRET + " "),
        ("trusted_proxies", "10.0.0.0/8, ::1,", ("10.0.0.0/8", "::1")),
    ],
)
def test_texts_of_the_environment(name: str, text: str, value: object) -> None:
    assert getattr(load({f"CROSSBOOK_{name.upper()}": text}).settings, name) == value


def test_values_of_the_file(tmp_path: Path) -> None:
    file = written(
        tmp_path, 'port = 1\nbots = false\ndata_dir = "d"\nlog_format = "json"\ntrusted_proxies = ["10.0.0.1"]\n'
    )
    settings = load({}, file).settings
    assert (settings.port, settings.bots, settings.data_dir) == (1, False, Path("d"))
    assert (settings.log_format, settings.trusted_proxies) == ("json", ("10.0.0.1",))


# -- What is refused ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("CROSSBOOK_PROT", "CROSSBOOK_PORT"),
        ("CROSSBOOK_port", "CROSSBOOK_PORT"),
        ("CROSSBOOK_SNAPSHOT_EVERY", "CROSSBOOK_SNAPSHOT_EVERY_COMMANDS"),
        ("CROSSBOOK_SETTING_FILE", "CROSSBOOK_SETTINGS_FILE"),
        ("CROSSBOOK_DB_URL", "CROSSBOOK_REDIS_URL"),
    ],
)
def test_an_unknown_name_in_the_environment_is_refused(name: str, nearest: str) -> None:
    assert problems({name: "1"}) == (f"{name} is no setting; did you mean {nearest}?",)


def test_other_programs_names_and_the_build_s_switches_are_left_alone() -> None:
    environment = {"HOME": "x", "PORT": "y", "CROSSBOOK_INTERPRETED": "1", "CROSSBOOK_PURE": "1"}
    assert load(environment).settings == Settings()


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "prot = 1\n[redis]\nurl = 'x'")
    first, second = problems({}, file)
    assert first == f"{file}: prot is no setting; did you mean port?"
    assert second.startswith(f"{file}: redis is no setting; did you mean redis_")


def test_an_unknown_option_is_refused() -> None:
    assert problems({}, prot=1) == ("prot is no setting; did you mean port?",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "8e3"),
        ("port", "\u0668"),  # a digit, but not one of ours
        ("port", "9" * 5000),
        ("bots", "maybe"),
        ("log_level", "loud"),
        ("runtime_mode", "prod"),
        ("snapshot_every_commands", "0"),
        ("orders_burst", "0"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "proxy.example"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_name(name: str, text: str) -> None:
    (problem,) = problems({f"CROSSBOOK_{name.upper()}": text})
    assert name in problem.lower()
    assert "must be" in problem


@pytest.mark.parametrize(
    "line",
    [
        "port = '80'",
        "port = true",
        "port = 80.0",
        "bots = 1",
        "bots = 'true'",
        "host = 1",
        "data_dir = []",
        "trusted_proxies = '::1'",
        "trusted_proxies = [1]",
    ],
)
def test_a_value_of_another_type_in_the_file_is_refused(line: str, tmp_path: Path) -> None:
    (problem,) = problems({}, written(tmp_path, line))
    assert problem.startswith(line.partition(" ")[0] + " must be ")


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    found = problems({"CROSSBOOK_PORT": "x", "CROSSBOOK_PROT": "1"}, written(tmp_path, "seed = 'x'"))
    assert len(found) == 3


@pytest.mark.parametrize("content", [None, b"port = ", b"\xff"])
def test_a_file_that_can_not_be_read_is_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "crossbook.toml"
    if content is not None:
        file.write_bytes(content)
    (problem,) = problems({}, file)
    assert str(file) in problem


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
def in_production(**changed: str) -> LoadedSettings:
    return load({**PRODUCTION, **changed})


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


def test_production_may_be_chosen_by_the_file_or_the_command_line(tmp_path: Path) -> None:
    rest = {name: value for name, value in PRODUCTION.items() if name != "RUNTIME_MODE"}
    assert load(rest, written(tmp_path, "runtime_mode = 'production'")).settings == in_production().settings
    assert load(rest, None, {"runtime_mode": RuntimeMode.PRODUCTION}).settings == in_production().settings


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


def test_the_page_of_settings_is_current() -> None:
    """After a change: `python -m crossbook.settings_page > docs/settings.md`."""
    assert (ROOT / "docs" / "settings.md").read_text() == settings_page()


def test_the_page_is_written_by_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "crossbook.settings_page"], capture_output=True, text=True, check=True)
    assert done.stdout == settings_page()
