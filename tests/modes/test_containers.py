"""The files for containers: whole, pinned, without default secrets, and true to the settings."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli.parser import parser
from app.config import load, require_servers, variables

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
TREE: dict[str, Any] = yaml.safe_load(COMPOSE)
SERVICES: dict[str, dict[str, Any]] = TREE["services"]
OURS = ("migrate", "api", "consumer", "temporal_worker")
SERVERS = ("postgres", "clickhouse", "kafka", "temporal", "storage")
_REFERENCE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")
_SECRET = re.compile(r"PASSWORD|SECRET|PWD|(?<!SYSTEM_)KEY|CLUSTER_ID")


def made_env() -> dict[str, str]:
    """What deploy/make-env prints."""
    script = ROOT / "deploy" / "make-env"
    text = subprocess.run(["sh", script], capture_output=True, text=True, check=True).stdout
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def resolved(value: str, env: dict[str, str]) -> str:
    """`value` as compose resolves it."""

    def one(match: re.Match[str]) -> str:
        found = env.get(match[1], "")
        assert found or match[2] == ":-", f"{match[1]} is needed and missing"
        return found or match[3]

    return _REFERENCE.sub(one, value)


def test_everything_that_a_deployment_needs_is_there() -> None:
    assert set(SERVICES) == {*OURS, *SERVERS, "temporal-ui"}
    commands = parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    for name in OURS:
        assert SERVICES[name]["command"] == [name]
        assert name in commands


@pytest.mark.parametrize("name", [*SERVERS, "temporal-ui"])
def test_images_are_pinned_to_a_version(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].rpartition(":")
    assert re.match(r"\d+\.\d+", tag), tag
    # Docker's own names, so that a mirror can be used: the first part is not a host.
    assert "." not in image.split("/")[0]


@pytest.mark.parametrize("name", [*OURS, *SERVERS])
def test_every_service_restarts_ends_in_time_and_is_checked(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped")
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["logging"]["options"]["max-size"]
    if name != "migrate":
        assert service["healthcheck"]["test"][0].startswith("CMD")


@pytest.mark.parametrize("name", SERVERS[:3] + SERVERS[4:])
def test_what_must_not_be_lost_is_on_a_volume(name: str) -> None:
    assert any(volume.startswith(f"{name}:/") for volume in SERVICES[name]["volumes"])
    assert name in TREE["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_our_processes_can_do_as_little_as_possible(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["stop_grace_period"].rstrip("s")) > load({}).deployment.shutdown_seconds


@pytest.mark.parametrize("name", OURS[1:])
def test_the_modes_start_when_the_schemas_are_there(name: str) -> None:
    waits = {key: value["condition"] for key, value in SERVICES[name]["depends_on"].items()}
    assert waits == {
        "migrate": "service_completed_successfully",
        **dict.fromkeys(SERVERS, "service_healthy"),
    }


def test_no_secret_has_a_default() -> None:
    for name, mark, default in _REFERENCE.findall(COMPOSE):
        if _SECRET.search(name):
            assert mark == ":?", name
            assert default == "run sh deploy/make-env > .env"
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if _SECRET.search(key):
                assert _REFERENCE.search(value), f"{key} is written down"


def test_every_setting_that_is_named_exists() -> None:
    known = {name for name, _ in variables()}
    named = set(re.findall(r"TARIFF_[A-Z0-9_]+", COMPOSE + (ROOT / "Dockerfile").read_text()))
    named |= set(re.findall(r"TARIFF_[A-Z0-9_]+", (ROOT / "deploy" / "make-env").read_text()))
    assert named - known == set()


@pytest.mark.parametrize("name", OURS)
def test_the_made_secrets_are_all_that_a_process_needs(name: str) -> None:
    env = made_env()
    environ = {k: resolved(v, env) for k, v in SERVICES[name]["environment"].items()}
    mode: Any = "api" if name == "migrate" else name
    settings = load(environ, ROOT / "config.yaml", mode=mode)
    require_servers(settings)
    assert settings.postgres.url.startswith("postgresql://tariff_app:")
    assert bool(settings.postgres.owner_url) is (name == "migrate")


def test_made_secrets_are_long_different_and_fit_into_a_url() -> None:
    first, second = made_env(), made_env()
    secrets = [name for name in first if _SECRET.search(name)]
    assert len(secrets) == 10
    for name in secrets:
        assert len(first[name]) >= 20
        assert first[name] != second[name]
        assert re.fullmatch(r"[A-Za-z0-9]+(==)?", first[name]), name


def test_the_roles_of_the_database_are_made_without_powers() -> None:
    script = (ROOT / "deploy" / "postgres" / "10-roles.sh").read_text()
    for role in ("tariff_owner", "tariff_app"):
        assert re.search(rf"CREATE ROLE {role} LOGIN NOSUPERUSER .*NOBYPASSRLS", script)
    assert subprocess.run(["bash", "-n", "/dev/stdin"], input=script, text=True).returncode == 0


def test_the_image_is_pinned_runs_as_nobody_and_holds_no_development_tools() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", image)
    assert re.search(r"uv==\d", text)
    assert text.count("uv sync --no-group dev --no-group local") == 2
    assert text.index("USER 10001") < text.index("ENTRYPOINT")
    assert "http" not in text.replace("http://127.0.0.1:8080/health", "")


def test_the_image_gets_what_its_file_copies_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    names = {name.strip("./") for line in copied for name in line.split()}
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == names
    assert all((ROOT / name).exists() for name in names)
