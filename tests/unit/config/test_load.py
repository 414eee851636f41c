"""A configuration loads with its secrets kept apart, or says every mistake with line, key and remedy."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from backout.config.adapters import DATABASES, PLATFORMS, ROUTERS, Registry, load_adapter
from backout.config.load import Loaded, find_config, load_config, load_for_requests
from backout.config.problems import ConfigMistakes
from backout.document import Document
from backout.errors import ConfigError


class Retry(Document):
    times: int = Field(default=3, ge=1, description="How often.")


class PlatformOptions(Document):
    directory: str = Field(description="The folder of the service.")
    start_command: str = "run"
    start_timeout_s: float = Field(default=30, gt=0)
    signal: Literal["TERM", "INT", "QUIT"] = "TERM"
    retry: Retry = Retry()
    env: dict[str, str] = {}


class RootedOptions(PlatformOptions):
    root: str = "."
    env_file: str | None = None


class DatabaseOptions(Document):
    url: str = Field(description="Where the database is.")
    password: str | None = None


class RouterOptions(Document):
    port: int = Field(ge=1, le=65535)


class StandIn:
    """An entry point whose adapter is nothing but its options."""

    def __init__(self, options: type[Document]) -> None:
        self.adapter = type("Adapter", (), {"Options": options})

    def load(self) -> Any:
        return self.adapter


REGISTRY: Registry = {
    PLATFORMS: {"process": StandIn(PlatformOptions), "command": StandIn(PlatformOptions)},
    ROUTERS: {"front": StandIn(RouterOptions)},
    DATABASES: {"postgres": StandIn(DatabaseOptions)},
}
GOOD = """\
service: collector
platform:
  kind: process
  directory: /srv/collector
"""


def load(tmp_path: Path, text: str | bytes, **environ: str) -> Loaded:
    path = tmp_path / "backout.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config(path, environ, registry=REGISTRY)


def mistakes(tmp_path: Path, text: str | bytes, **environ: str) -> list[str]:
    """Return the mistakes as people read them, without the file's name."""
    with pytest.raises(ConfigMistakes) as caught:
        load(tmp_path, text, **environ)
    assert caught.value.exit_code == 2
    assert str(caught.value.state) == "Nothing was touched."
    first = caught.value.problems[0].place.line
    assert caught.value.next_command == f"${{EDITOR:-vi}} +{first} {tmp_path}/backout.yaml"
    lines = [str(p.message(tmp_path / "backout.yaml")) for p in caught.value.problems]
    assert all(line in str(caught.value) for line in lines)
    return [line.removeprefix(f"{tmp_path}/backout.yaml:") for line in lines]


def test_a_good_file_gives_validated_options_and_an_absolute_path(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD + "router: {kind: front, port: 8080}\n")
    assert loaded.config.service == "collector"
    assert loaded.platform.options == PlatformOptions(directory="/srv/collector")
    assert loaded.router is not None and loaded.router.options == RouterOptions(port=8080)
    assert loaded.database is None
    assert loaded.path == tmp_path / "backout.yaml"
    assert loaded.state_directory == tmp_path / ".backout"


def test_references_are_resolved_and_defaults_used_also_when_empty(tmp_path: Path) -> None:
    text = GOOD + 'router: {kind: front, port: "${PORT:-8080}"}\nenvironment: ${ENVIRONMENT:-staging}\n'
    assert load(tmp_path, text).router.options == RouterOptions(port=8080)  # type: ignore[union-attr]
    loaded = load(tmp_path, text, PORT="9000", ENVIRONMENT="")
    assert loaded.router is not None and loaded.router.options == RouterOptions(port=9000)
    assert loaded.config.environment == "staging"
    assert loaded.variables == {"PORT", "ENVIRONMENT"}


def test_an_escaped_reference_is_left_to_the_shell(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD + "  start_command: echo $${HOME} $HOME $$\n")
    assert loaded.platform.options.model_dump()["start_command"] == "echo ${HOME} $HOME $$"


def test_the_digest_is_of_the_text_and_not_of_the_environment(tmp_path: Path) -> None:
    text = GOOD + "database: {kind: postgres, url: '${DATABASE_URL}'}\n"
    one, two = (load(tmp_path, text, DATABASE_URL=f"postgres://u:{p}@h/db") for p in ("first", "second"))
    assert one.digest == two.digest != load(tmp_path, GOOD).digest


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgres://u:s3cret-pw@h/db", "s3cret-pw"),
        ("postgres://u:s3%40cret@h/db", "s3@cret"),
        ("host=h user=u password=s3cret-pw", "s3cret-pw"),
        ("host=h user=u password='s3cret pw'", "s3cret pw"),
        ("postgres://h/db?user=u&password=s3cret-pw&sslmode=require", "s3cret-pw"),
    ],
)
def test_passwords_in_referenced_values_are_redacted_but_hosts_are_not(
    tmp_path: Path, url: str, secret: str
) -> None:
    loaded = load(tmp_path, GOOD + "database: {kind: postgres, url: '${DATABASE_URL}'}\n", DATABASE_URL=url)
    assert secret not in loaded.redactor.text(f"could not connect to {url} with {secret}")
    assert "could not connect to" in loaded.redactor.text(f"could not connect to {url}")


def test_other_referenced_values_are_redacted_unless_they_are_plain(tmp_path: Path) -> None:
    text = GOOD + "  env: {A: 'x ${API_TOKEN}', B: '${HOOK}', C: '${PORT}', D: '${ROOT}', E: '${OPAQUE}'}\n"
    values = {
        "API_TOKEN": "12345",
        "HOOK": "https://hooks.example.com/services/T01AB/B02CD/xyzzy",
        "PORT": "12346",
        "ROOT": "/srv/app",
        "OPAQUE": "zaphod",
    }
    redactor = load(tmp_path, text, **values).redactor
    assert [redactor.text(values[k]) for k in values] == ["***", "***", "12346", "/srv/app", "***"]


def test_all_mistakes_come_at_once_in_file_order(tmp_path: Path) -> None:
    text = """\
servise: collector
environment: 5
platform:
  kind: proces
  directory: /srv
router:
  kind: front
  port: 70000
  prot: 1
policy:
  plan_expires_s: soon
"""
    known = "service, environment, confirm, state, platform, router, database, backups, restore, hold, checks, migrations, canary, guard, policy"
    assert mistakes(tmp_path, text) == [
        "1:1: service: expected this key, found none: Name of the service, as people call it.",
        f"1:1: servise: expected one of {known}, found an unknown key. Did you mean service?",
        '2:14: environment: expected text, found 5. Write "5", in quotes.',
        "4:9: platform.kind: expected one of command, process, found proces. Did you mean process?",
        "8:9: router.port: expected a number of at most 65535, found 70000.",
        "9:3: router.prot: expected one of port, found an unknown key. Did you mean port?",
        "11:19: policy.plan_expires_s: expected a whole number, found soon.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: (file): expected keys such as service and platform, found an empty file. `backout init --force HERE` writes a new one."),
        ("# only\n# words\n", "1:1: (file): expected keys such as service and platform, found an empty file. `backout init --force HERE` writes a new one."),
        ("- a\n- b\n", "1:1: (file): expected keys such as service and platform, found a list. `backout init --force HERE` writes a new one."),
        ("hello\n", "1:1: (file): expected keys such as service and platform, found the text 'hello'. `backout init --force HERE` writes a new one."),
        ("service: a\n\tplatform: b\n", "2:1: (file): expected spaces, found a tab. Indent with spaces."),
        (b"service: caf\xe9\n", "1:13: (file): expected UTF-8 text, found the byte 0xe9. Save the file as UTF-8."),
        (b"service: a\nx: \x01\n", "2:4: (file): expected printable text, found the character U+0001."),
        (GOOD + "---\nservice: b\n", "5:1: (file): expected one document, found a second one after ---. Keep one file for each environment."),
        (GOOD + "service: b\n", "5:1: service: expected each key once, found it again (first on line 1). Keep one of them."),
        (GOOD + "  ? [a]\n  : b\n", "5:5: platform: expected a name as key, found a list."),
        (GOOD + "  env: !!python/name:os.system x\n", "5:8: platform.env: expected plain text, found the tag tag:yaml.org,2002:python/name:os.system. Remove the tag."),
        (GOOD + "  env: &x {A: *x}\n", "5:8: platform.env.A: expected a value, found an alias that contains itself. Write the values out."),
        (GOOD + "confirm: yes_no\n", "5:10: confirm: expected one of yes-no, type-service-name, found yes_no. Did you mean yes-no?"),
        (GOOD + "  signal: term\n", "5:11: platform.signal: expected one of TERM, INT, QUIT, found term. Did you mean TERM?"),
        (GOOD + "  retry: {time: 2}\n", "5:11: platform.retry.time: expected one of times, found an unknown key. Did you mean times?"),
        (GOOD + "  retry: 5\n", "5:10: platform.retry: expected keys and values, found 5."),
        (GOOD + "  env: {A: 1.10}\n", '5:12: platform.env.A: expected text, found 1.10. Write "1.10", in quotes.'),
        (GOOD + "policy: {min_version: no}\n", '5:23: policy.min_version: expected text, found no. Write "no", in quotes.'),
        (GOOD + "policy: {compatible: [{version: a}]}\n", "5:23: policy.compatible[0].works_with_schema_of: expected this key, found none: The version whose schema it can read and write."),
        ("service: a\nplatform: process\n", "2:11: platform: expected keys and values, found process."),
        ("service: a\nplatform: {directory: x}\n", "2:1: platform.kind: expected this key, found none: Name of the adapter, e.g. process, command, front, postgres."),
        ("service: a\n", "1:1: platform: expected this key, found none: What runs the releases."),
        (GOOD + "  start_command: ${RUN}\n", "5:18: platform.start_command: expected the environment variable RUN, found that it is not set. Type: export RUN=… (or write ${RUN:-…} for a default)."),
        (GOOD + "  start_command: a ${1x}\n", "5:18: platform.start_command: expected a reference such as ${NAME}, found ${1x}. For the characters themselves write $${."),
        (GOOD + "  start_command: a ${X\n", "5:18: platform.start_command: expected a reference such as ${NAME}, found ${X. For the characters themselves write $${."),
        (GOOD + "restore: {switch: {run: [a], probe: [b]}}\n", "5:10: restore: expected a `database` too: `switch` says which one of its server is used, found keys."),
        (GOOD + "restore: {switch: {run: [a]}}\n", "5:11: restore.switch.probe: expected this key, found none: Prints the name of the database that the service's connection names now, in its first line; with another exit status than 0, or without a name, it is unknown."),
        (GOOD + "restore: {command: {run: ['{name}']}, switch: {run: [a], probe: [b]}}\n", "5:47: restore.switch: expected no `command` beside it: only one of them can say how the data goes back, found keys."),
        (GOOD + "router: {kind: front, port: '${PORT}'}\n", "5:29: router.port: expected the environment variable PORT, found that it is not set. Type: export PORT=… (or write ${PORT:-…} for a default)."),
    ],
)  # fmt: skip
def test_one_mistake_is_named_with_its_place(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert mistakes(tmp_path, text) == [expected.replace("HERE", str(tmp_path))]


def test_a_variable_that_is_set_but_empty_is_said_to_be_so(tmp_path: Path) -> None:
    [line] = mistakes(tmp_path, GOOD + "  start_command: ${RUN}\n", RUN="")
    assert "expected the environment variable RUN, found it empty." in line


def test_a_mistyped_variable_is_suggested(tmp_path: Path) -> None:
    [line] = mistakes(tmp_path, GOOD + "  start_command: ${DATABSE_URL}\n", DATABASE_URL="x")
    assert line.endswith("Did you mean DATABASE_URL?")


@pytest.mark.parametrize(
    ("place", "extra"),
    [
        ("shared/.env", "  directory: x\n"),
        ("srv/conf/a b.env", "  directory: x\n  root: srv\n  env_file: conf/a b.env\n"),
        ("srv/.env", "  directory: x\n  root: ./srv\n"),
    ],
)
def test_a_missing_variable_that_an_env_file_sets_is_said_with_what_to_type(
    tmp_path: Path, place: str, extra: str
) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text("# of the service\nexport DB_URL='postgres://u:hunter22@h/db'\nEMPTY=\n")
    config = tmp_path / "backout.yaml"
    text = "service: a\ndatabase: {kind: postgres, url: '${DB_URL}'}\nplatform:\n  kind: process\n" + extra
    config.write_text(text)
    with pytest.raises(ConfigMistakes) as caught:
        load_config(config, {}, registry={**REGISTRY, PLATFORMS: {"process": StandIn(RootedOptions)}})
    error, quoted = caught.value, shlex.quote(str(file))
    assert error.next_command == f"set -a; . {quoted}; set +a; backout doctor"
    assert f"Looked in the environment alone; {file} sets it" in str(error) and "hunter22" not in str(error)
    assert error.next_command.partition("; backout")[0] in str(error)
    typed = error.next_command.replace("backout doctor", "printenv DB_URL")
    assert subprocess.run(["sh", "-c", typed], capture_output=True, check=True).stdout == (
        b"postgres://u:hunter22@h/db\n"
    )
    config.write_text(text.replace("DB_URL", "EMPTY"))
    with pytest.raises(ConfigMistakes) as caught:
        load_config(config, {}, registry={**REGISTRY, PLATFORMS: {"process": StandIn(RootedOptions)}})
    assert f"{file} does not set it either. Type: export EMPTY=" in str(caught.value)
    assert caught.value.next_command == f"${{EDITOR:-vi}} +2 {config}"


def test_an_env_file_does_not_help_against_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RUN=x\n")
    config = tmp_path / "backout.yaml"
    config.write_text(GOOD + "  start_command: ${RUN}\n  signal: term\n")
    with pytest.raises(ConfigMistakes) as caught:
        load_config(config, {}, registry=REGISTRY)
    assert caught.value.next_command == f"${{EDITOR:-vi}} +6 {config}"


def test_a_broken_line_of_yaml_is_named(tmp_path: Path) -> None:
    [line] = mistakes(tmp_path, "service: a\nplatform: [1, 2\nrouter: {}\n")
    assert line.startswith("3:") and "expected YAML, found a mistake" in line


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (
            "database: {kind: postgres, url: 'postgres://u:hunter22@h/db'}",
            "Write ${DATABASE_URL}, and set DATABASE_URL",
        ),
        ("database: {kind: postgres, url: 'host=h password=hunter22'}", "Write ${DATABASE_URL}"),
        ("database: {kind: postgres, url: '${U:-postgres://u:hunter22@h/db}'}", "Write ${DATABASE_URL}"),
        ("database: {kind: postgres, url: x, password: hunter22}", "Write ${DATABASE_URL}"),
        ("  env: {API_TOKEN: hunter22}", "Write ${PLATFORM_ENV_API_TOKEN}"),
        ("  env: {API_TOKEN: '${T:-hunter22}'}", "Write ${PLATFORM_ENV_API_TOKEN}"),
    ],
)
def test_a_plain_secret_is_refused_and_not_repeated(tmp_path: Path, line: str, remedy: str) -> None:
    [found] = mistakes(tmp_path, GOOD + line + "\n")
    assert "expected a reference to a secret, found the secret itself." in found and remedy in found
    assert "hunter22" not in found


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/health", "postgres://u@h/db", "postgres://u:${PW}@h/db", "a@b:c"]
)
def test_what_carries_no_secret_is_not_taken_for_one(tmp_path: Path, url: str) -> None:
    load(tmp_path, GOOD + f"database: {{kind: postgres, url: '{url}'}}\n", PW="hunter22")


def test_a_resolved_secret_is_never_in_a_mistake(tmp_path: Path) -> None:
    text = GOOD + "  start_timeout_s: ${PW}\n  signal: ${PW}\n  retry: {times: '${PW}'}\n"
    found = mistakes(tmp_path, text, PW="hunter22")
    assert len(found) == 3 and all("hunter22" not in line and "${PW}" in line for line in found)


def test_an_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    [line] = mistakes(tmp_path, "\n".join(lines))
    assert "aliases or nesting that grow beyond 20000 values" in line


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "[" * 60 + "]" * 60])
def test_deep_nesting_is_a_mistake_and_not_a_crash(tmp_path: Path, text: str) -> None:
    assert "nest" in mistakes(tmp_path, text)[0]


def test_merged_keys_are_filled_in_and_own_keys_win(tmp_path: Path) -> None:
    text = (
        "service: a\nplatform:\n  <<: &base {directory: /a, signal: INT}\n  directory: /b\n  kind: process\n"
    )
    loaded = load(tmp_path, text)
    assert loaded.platform.options == PlatformOptions(directory="/b", signal="INT")


def test_a_missing_file_names_the_next_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "backout.yaml", {}, registry=REGISTRY)
    assert str(tmp_path / "backout.yaml") in str(caught.value)
    assert caught.value.next_command == f"ls -l {tmp_path}"


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "backout.yaml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path / "backout.yaml", {}, registry=REGISTRY)


def test_an_enormous_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has at most 1000000"):
        load(tmp_path, "#" * 1_000_001)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()).config.service == "collector"


def test_an_adapter_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    class Broken:
        def load(self) -> Any:
            raise ImportError("No module named 'kubernetes_client'")

    with pytest.raises(
        ConfigError, match=r"adapter k8s .* cannot be loaded: No module named 'kubernetes_client'"
    ):
        load_adapter(PLATFORMS, "k8s", {PLATFORMS: {"k8s": Broken()}})


def test_the_file_is_found_here_above_and_not_beyond_the_git_root(tmp_path: Path) -> None:
    below = tmp_path / "repo" / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "repo" / ".git").mkdir()
    (tmp_path / "backout.yaml").touch()
    with pytest.raises(ConfigError, match=r"There is no backout\.yaml in .*/repo/a/b or above it"):
        find_config(None, {}, below)
    (tmp_path / "repo" / "backout.yaml").touch()
    assert find_config(None, {}, below) == tmp_path / "repo" / "backout.yaml"
    named = tmp_path / "named.yaml"
    named.touch()
    assert find_config(None, {"BACKOUT_CONFIG": str(named)}, below) == named
    assert find_config(Path("z.yaml"), {"BACKOUT_CONFIG": "/x/y.yaml"}, below) == below / "z.yaml"


@pytest.mark.parametrize("service", ['""', '"a/b"', '"a\\nb"', '" a"', '"-rf"'])
def test_a_name_can_stand_in_a_path_and_on_a_command_line(tmp_path: Path, service: str) -> None:
    found = mistakes(tmp_path, GOOD.replace("service: collector", f"service: {service}"))
    assert [line.split(", found")[0] for line in found] == [
        "1:10: service: expected a name of letters, digits, dots, dashes and underscores"
    ]


@pytest.mark.parametrize("seconds", [".inf", "1e999", "1.0e+23", "true", ".nan"])
def test_seconds_are_a_number_that_can_be_waited_for(tmp_path: Path, seconds: str) -> None:
    text = f"service: x\nplatform:\n  kind: process\n  root: .\n  start: run\n  stop_timeout_s: {seconds}\n"
    (tmp_path / "backout.yaml").write_text(text)
    with pytest.raises(ConfigMistakes) as caught:
        load_config(tmp_path / "backout.yaml", {})
    assert "platform.stop_timeout_s: expected a" in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://x", "collector"])
def test_a_database_is_the_one_of_its_kind(tmp_path: Path, url: str) -> None:
    text = f"{GOOD}database:\n  kind: postgres\n  url: ${{URL}}\n"
    (tmp_path / "backout.yaml").write_text(text.replace("directory: /srv/collector", "root: .\n  start: run"))
    with pytest.raises(ConfigMistakes) as caught:
        load_config(tmp_path / "backout.yaml", {"URL": url})
    assert "database.url: expected a URL that begins with postgresql://, or key=value words" in str(
        caught.value
    )
    assert url not in str(caught.value).replace("service: collector", "").replace("collector/", "")


def test_a_file_of_another_name_is_none_that_init_writes(tmp_path: Path) -> None:
    (tmp_path / "staging.yaml").write_text("")
    with pytest.raises(ConfigMistakes) as caught:
        load_config(tmp_path / "staging.yaml", {}, registry=REGISTRY)
    assert str(caught.value).endswith("found an empty file.")
    assert "init" not in str(caught.value)


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ('"foo \'bar"', "expected words in which every quote is closed, found foo 'bar."),
        ("[]", "expected at least 1 entry, found a list."),
    ],
)
def test_a_command_is_told_in_words(tmp_path: Path, start: str, told: str) -> None:
    (tmp_path / "backout.yaml").write_text(
        f"service: x\nplatform:\n  kind: process\n  root: .\n  start: {start}\n"
    )
    with pytest.raises(ConfigMistakes) as caught:
        load_config(tmp_path / "backout.yaml", {})
    assert str(caught.value).endswith(f"platform.start: {told}")


def test_each_check_has_a_name_of_its_own(tmp_path: Path) -> None:
    checks = "checks:\n  - {kind: command, run: [a]}\n  - {kind: command, run: [b]}\n"
    assert mistakes(tmp_path, GOOD + checks) == [
        "6:3: checks: expected a `name` of its own for each check: command stands twice, found a list."
    ]


def test_a_file_that_is_named_and_is_not_there(tmp_path: Path) -> None:
    """`init` would write another one, and leave this one missing."""
    with pytest.raises(ConfigError, match=r"There is no configuration file .*nowhere/x\.yaml") as raised:
        load_config(find_config(tmp_path / "nowhere" / "x.yaml", {}, tmp_path), {})
    assert raised.value.next_command == f"ls -l {tmp_path}"
    with pytest.raises(ConfigError, match="BACKOUT_CONFIG names /nope") as raised:
        find_config(None, {"BACKOUT_CONFIG": "/nope"}, tmp_path)
    assert raised.value.next_command.startswith("unset BACKOUT_CONFIG")


@pytest.mark.parametrize("steps", ["[]", "[5, 1, 100]", "[1, 5]", "[0, 100]", "[50, 50, 100]", "[1, 101]"])
def test_the_shares_of_a_canary_grow_to_all(tmp_path: Path, steps: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD + f"canary: {{steps: {steps}}}\n")
    assert "canary.steps" in str(caught.value.what)


def test_for_requests_only_what_says_where_they_go_has_to_be_right(tmp_path: Path) -> None:
    own = 'service: shop\nplatform: {kind: command, deploy: [./deploy, "{version}"]}\n'
    other = 'database: {kind: nothing, url: "${NOT_SET}"}\nchecks: 7\npolciy: {}\n'
    path = tmp_path / "backout.yaml"
    path.write_text(own + other)
    with pytest.raises(ConfigError):
        load_config(path, {})
    found = load_for_requests(path, {})
    assert (found.config.service, found.platform.kind, found.database) == ("shop", "command", None)
    path.write_text(own.replace("kind: command", "kind: comand") + other)
    with pytest.raises(ConfigMistakes) as caught:
        load_for_requests(path, {})
    assert [p.key for p in caught.value.problems] == ["platform.kind"]


@pytest.mark.parametrize(
    ("guard", "told"),
    [
        ("interval_s: -1", "guard.interval_s: expected a number of at least 1.0, found -1."),
        (
            "metrics: [{kind: router}, {kind: router}]",
            "expected a `name` of its own for each metric: errors stands twice, found a list.",
        ),
        (
            'metrics: [{kind: prometheus, url: "http://a", requests: "a$side[$window]", errors: "b[$window]"}]',
            "expected $side in both of requests and errors, or in neither",
        ),
        (
            'metrics: [{kind: prometheus, url: "http://a", requests: "a[$window]", errors: "b"}]',
            "expected $window in the query",
        ),
        ("metrics: [{kind: router, worse_by: .nan}]", "expected a finite number"),
    ],
)
def test_a_slip_in_what_the_guard_looks_at_is_told_in_words(tmp_path: Path, guard: str, told: str) -> None:
    (found,) = mistakes(tmp_path, GOOD + f"guard:\n  {guard}\n")
    assert told in found
