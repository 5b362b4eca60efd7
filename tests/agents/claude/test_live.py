"""What of our environment and of a login reaches the Claude CLI, and what is said when there is neither."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentRequest, Limits
from pytest_pipeline.agents.claude.gateway import Access
from pytest_pipeline.agents.claude.live import Live
from pytest_pipeline.errors import HostError, SettingsError

KEY = "sk-ant-api03-this-is-the-key"
TOKENS = {"accessToken": "sk-ant-oat01-the-access-token", "refreshToken": "sk-ant-ort01-the-refresh-token"}
HOUR = 3600.0


def login(directory: Path, *, expires_in: float = HOUR, **more: object) -> Path:
    """A login file as the CLI writes it."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / ".credentials.json"
    oauth = {**TOKENS, "expiresAt": int((time.time() + expires_in) * 1000), "subscriptionType": "max", **more}
    file.write_text(json.dumps({"claudeAiOauth": oauth, "mcpOAuth": {"x": "not for you"}}))
    return file


@pytest.fixture
def request_(tmp_path: Path) -> AgentRequest:
    return AgentRequest("do", tmp_path, Limits(60.0), {}, tmp_path / "transcript")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def admitted(environ: Mapping[str, str], request_: AgentRequest, config: Path) -> Access:
    with Live(environ).admit(request_, config) as access:
        return access


class TestKeys:
    @pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"])
    def test_a_key_is_handed_on_and_told_by_name(self, name: str, request_: AgentRequest, config: Path) -> None:
        environ = {name: KEY, "ANTHROPIC_BASE_URL": "https://gate.example", "HOME": "/nonexistent"}

        access = admitted(environ, request_, config)

        assert dict(access.environment) == {name: KEY, "ANTHROPIC_BASE_URL": "https://gate.example"}
        assert KEY in access.secrets
        (note,) = Live(environ).notes
        assert name in note
        assert KEY not in note
        assert not list(config.iterdir())

    def test_nothing_else_of_our_environment_is(self, request_: AgentRequest, config: Path) -> None:
        ours = {
            "GH_TOKEN": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "GOOGLE_APPLICATION_CREDENTIALS": "x",
            "VERTEX_REGION_CLAUDE_5": "x",
            "CLAUDE_CODE_SSE_PORT": "x",
            "CLAUDE_CONFIG_DIR": "x",
            "ANTHROPIC_MODEL": "x",
            "PATH": "x",
        }

        assert dict(admitted({"ANTHROPIC_API_KEY": KEY, **ours}, request_, config).environment) == {
            "ANTHROPIC_API_KEY": KEY
        }

    def test_the_way_out_of_a_company_is(self, request_: AgentRequest, config: Path) -> None:
        network = {
            "HTTPS_PROXY": "http://me:pass%2Fword@proxy:3128",
            "https_proxy": "http://proxy:3128",
            "NO_PROXY": "localhost",
            "NODE_EXTRA_CA_CERTS": "/ca.pem",
            "SSL_CERT_FILE": "/ca.pem",
        }

        access = admitted({"ANTHROPIC_API_KEY": KEY, **network}, request_, config)

        assert dict(access.environment) == {"ANTHROPIC_API_KEY": KEY, **network}
        assert {"pass%2Fword", "pass/word"} <= set(access.secrets)

    def test_values_of_headers_are_secrets(self, request_: AgentRequest, config: Path) -> None:
        headers = "X-Gate: gate-secret-1\nProxy-Authorization: Basic dXNlcjpwYXNz"

        access = admitted({"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_CUSTOM_HEADERS": headers}, request_, config)

        assert access.environment["ANTHROPIC_CUSTOM_HEADERS"] == headers
        assert {"gate-secret-1", "dXNlcjpwYXNz"} <= set(access.secrets)

    def test_an_empty_key_is_none(self) -> None:
        with pytest.raises(SettingsError, match="has no login"):
            Live({"ANTHROPIC_API_KEY": ""})

    def test_a_key_makes_a_login_superfluous(self, home: Path, request_: AgentRequest, config: Path) -> None:
        login(home / ".claude", expires_in=-HOUR)

        with Live({"ANTHROPIC_API_KEY": KEY, "HOME": str(home)}).admit(request_, config):
            assert not list(config.iterdir())


class TestProviders:
    def test_bedrock_gets_its_set_and_the_files_of_the_real_home(
        self, home: Path, request_: AgentRequest, config: Path
    ) -> None:
        credentials = home / ".aws" / "credentials"
        credentials.parent.mkdir()
        credentials.touch()
        given = {
            "CLAUDE_CODE_USE_BEDROCK": "1",
            "AWS_REGION": "eu-central-1",
            "AWS_PROFILE": "work",
            "AWS_SECRET_ACCESS_KEY": "an-aws-secret",
        }

        access = admitted({**given, "HOME": str(home), "ANTHROPIC_API_KEY": KEY}, request_, config)

        assert dict(access.environment) == {**given, "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
        assert "an-aws-secret" in access.secrets
        assert "Amazon Bedrock" in Live(given).notes[0]

    def test_vertex_gets_its_set(self, home: Path, request_: AgentRequest, config: Path) -> None:
        default = home / ".config" / "gcloud" / "application_default_credentials.json"
        default.parent.mkdir(parents=True)
        default.touch()
        given = {
            "CLAUDE_CODE_USE_VERTEX": "true",
            "CLOUD_ML_REGION": "europe-west1",
            "ANTHROPIC_VERTEX_PROJECT_ID": "project",
            "VERTEX_REGION_CLAUDE_HAIKU_4_5": "us-east5",
        }

        access = admitted({**given, "HOME": str(home)}, request_, config)

        assert dict(access.environment) == {**given, "GOOGLE_APPLICATION_CREDENTIALS": str(default)}
        assert "Google Vertex AI" in Live(given).notes[0]

    def test_a_file_that_a_variable_names_is_kept(self, home: Path, request_: AgentRequest, config: Path) -> None:
        default = home / ".config" / "gcloud" / "application_default_credentials.json"
        default.parent.mkdir(parents=True)
        default.touch()
        given = {"CLAUDE_CODE_USE_VERTEX": "1", "GOOGLE_APPLICATION_CREDENTIALS": "/mine.json"}

        assert dict(admitted({**given, "HOME": str(home)}, request_, config).environment) == given

    def test_a_switch_that_is_off_chooses_nothing(self) -> None:
        with pytest.raises(SettingsError, match="has no login"):
            Live({"CLAUDE_CODE_USE_BEDROCK": "0", "AWS_REGION": "eu-central-1"})


class TestLogin:
    @pytest.mark.parametrize("place", ["HOME", "CLAUDE_CONFIG_DIR"])
    def test_it_is_lent_without_what_renews_it(
        self, place: str, home: Path, tmp_path: Path, request_: AgentRequest, config: Path
    ) -> None:
        environ = {"HOME": str(home)}
        if place == "CLAUDE_CONFIG_DIR":
            environ[place] = str(tmp_path / "elsewhere")
        file = login(tmp_path / "elsewhere" if place == "CLAUDE_CONFIG_DIR" else home / ".claude")
        before = file.read_bytes()

        live = Live(environ)
        with live.admit(request_, config) as access:
            (copy,) = config.iterdir()
            assert copy.stat().st_mode & 0o777 == 0o400
            held = json.loads(copy.read_text())
            assert dict(access.environment) == {}

        assert set(held) == {"claudeAiOauth"}
        assert held["claudeAiOauth"]["accessToken"] == TOKENS["accessToken"]
        assert "refreshToken" not in held["claudeAiOauth"]
        assert set(TOKENS.values()) <= set(access.secrets)
        assert not list(config.iterdir())
        assert file.read_bytes() == before
        assert str(file) in live.notes[0]
        assert "60 minutes" in live.notes[0]
        assert not any(token in live.notes[0] for token in TOKENS.values())

    def test_it_is_read_anew_for_each_task(self, home: Path, request_: AgentRequest, config: Path) -> None:
        login(home / ".claude")
        live = Live({"HOME": str(home)})
        login(home / ".claude", accessToken="sk-ant-oat01-renewed")

        with live.admit(request_, config) as access:
            assert "sk-ant-oat01-renewed" in (config / ".credentials.json").read_text()

        assert "sk-ant-oat01-renewed" in access.secrets

    def test_the_copy_goes_also_when_the_task_run_breaks(
        self, home: Path, request_: AgentRequest, config: Path
    ) -> None:
        login(home / ".claude")

        with pytest.raises(KeyboardInterrupt), Live({"HOME": str(home)}).admit(request_, config):
            raise KeyboardInterrupt

        assert not list(config.iterdir())

    def test_the_copy_goes_whatever_was_made_of_it(self, home: Path, request_: AgentRequest, config: Path) -> None:
        login(home / ".claude")

        with Live({"HOME": str(home)}).admit(request_, config):
            (config / ".credentials.json").unlink()
            (config / ".credentials.json").mkdir()

        assert not list(config.iterdir())

    def test_an_address_of_ours_goes_with_it(self, home: Path, request_: AgentRequest, config: Path) -> None:
        login(home / ".claude")
        environ = {"HOME": str(home), "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}

        assert dict(admitted(environ, request_, config).environment) == {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}

    def test_one_that_does_not_say_when_it_ends_is_taken(self, home: Path) -> None:
        login(home / ".claude", expiresAt=None)

        assert "minutes" not in Live({"HOME": str(home)}).notes[0]


class TestWithoutAccess:
    @pytest.mark.parametrize("home_is_set", [True, False])
    def test_one_sentence_says_what_to_do(self, home: Path, home_is_set: bool) -> None:
        with pytest.raises(SettingsError) as error:
            Live({"HOME": str(home)} if home_is_set else {})

        message = str(error.value)
        assert message.count(". ") == 0
        for way in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "`claude` and then `/login`", "--rehearse"):
            assert way in message

    def test_an_expired_login_is_told_at_once(self, home: Path) -> None:
        file = login(home / ".claude", expires_in=-60.0)

        with pytest.raises(SettingsError, match=r"has expired.*`/login`, or set ANTHROPIC_API_KEY") as error:
            Live({"HOME": str(home)})

        assert str(file) in str(error.value)

    @pytest.mark.parametrize("held", ["", "[]", "{}", '{"claudeAiOauth": {"accessToken": ""}}', '{"claudeAiOauth": 1}'])
    def test_a_file_without_a_login_is_told(self, home: Path, held: str) -> None:
        login(home / ".claude").write_text(held)

        with pytest.raises(SettingsError, match=r"There is no .*in .*credentials.json.*/login"):
            Live({"HOME": str(home)})

    def test_a_file_that_cannot_be_read_is_told(self, home: Path) -> None:
        (home / ".claude" / ".credentials.json").mkdir(parents=True)

        with pytest.raises(SettingsError, match=r"cannot be read: Is a directory\. Mend that, or"):
            Live({"HOME": str(home)})

    def test_one_that_expires_in_between_closes_the_way_for_the_next_task(
        self, home: Path, request_: AgentRequest, config: Path
    ) -> None:
        login(home / ".claude")
        live = Live({"HOME": str(home)})
        login(home / ".claude", expires_in=-1.0)

        with pytest.raises(HostError, match=r"has expired"), live.admit(request_, config):
            pass

        assert not list(config.iterdir())
