"""Reading settings: where values come from, and which names and values are refused."""

import os
from pathlib import Path

import pytest

from crossbook.settings import RuntimeMode, Settings, all_settings
from crossbook.settings_loading import load
from tests.settings_cases import GOOD_SECRET, PRODUCTION, in_production, problems


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


def test_production_may_be_chosen_by_the_file_or_the_command_line(tmp_path: Path) -> None:
    rest = {name: value for name, value in PRODUCTION.items() if name != "RUNTIME_MODE"}
    assert load(rest, written(tmp_path, "runtime_mode = 'production'")).settings == in_production().settings
    assert load(rest, None, {"runtime_mode": RuntimeMode.PRODUCTION}).settings == in_production().settings


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
