"""A tag is resolved by a real registry: open, behind a password, behind tokens; and by none that is not well."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import registry as real
from tests.registry import IDENTITY_TOKEN, PASSWORD, USER, Registry, TokenServer, login, small_image

from backout.children import Children
from backout.platforms.kubernetes.registry import digest_at_registry
from backout.redact import MASK, Redactor

pytestmark = pytest.mark.slow


@pytest.fixture
def children(require_service: Callable[[str], None], tmp_path: Path) -> Iterator[Children]:
    require_service("docker-registry")
    made = Children(tmp_path / "run")
    yield made
    made.close()


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenServer]:
    made = TokenServer(tmp_path / "tokens")
    yield made
    made.close()


class Laptop:
    """What `docker login` left on a machine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.redactor = folder, Redactor()
        self.programs = folder / "programs"
        self.programs.mkdir()

    def configure(self, **config: object) -> None:
        (self.folder / "config.json").write_text(json.dumps(config))

    def helper(self, name: str, *lines: str) -> None:
        program = self.programs / f"docker-credential-{name}"
        program.write_text("\n".join(("#!/bin/sh", "read -r server", *lines)))
        program.chmod(0o755)

    def resolve(self, image: str) -> str:
        environ = {"DOCKER_CONFIG": str(self.folder), "PATH": f"{self.programs}:/usr/bin:/bin"}
        return str(digest_at_registry(image, environ, self.redactor))


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    (tmp_path / "docker").mkdir()
    return Laptop(tmp_path / "docker")


def test_a_tag_is_what_it_means_now(children: Children, tmp_path: Path, laptop: Laptop) -> None:
    registry = Registry(tmp_path, children)
    ours = f"{registry.host}/team/collector"
    one, two = small_image(ours, "1.0.0", "one"), small_image(ours, "1.0.0", "two")
    assert registry.push(one) == one.digest != registry.push(small_image(ours, "latest", "newest"))
    assert laptop.resolve(f"{ours}:1.0.0") == one.digest
    registry.push(two)
    assert laptop.resolve(f"{ours}:1.0.0") == two.digest
    assert laptop.resolve(ours) == laptop.resolve(f"{ours}:latest") != two.digest

    assert laptop.resolve(f"{ours}:9.9.9") == f"the registry {registry.host} has no {ours}:9.9.9"
    assert (
        laptop.resolve(f"{registry.host}/other:1")
        == f"the registry {registry.host} has no {registry.host}/other:1"
    )

    registry.push(one)
    registry.push(small_image(ours, "other", "two"))
    for kind in (real.INDEX, real.MANIFEST_LIST):
        whole = registry.push_list("team/collector", "several", kind, [one, two])
        assert laptop.resolve(f"{ours}:several") == whole, (
            "the tag's own digest, not that of one architecture"
        )

    registry.stop()
    assert laptop.resolve(f"{ours}:1.0.0").startswith(
        f"the registry {registry.host} cannot be asked: ConnectError"
    )


def test_a_registry_that_never_answers_is_given_up(laptop: Laptop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        assert laptop.resolve(f"{host}/collector:1") == f"the registry {host} did not answer in 3 s"


def test_who_asks_for_a_password_gets_that_of_docker_login(
    children: Children, tmp_path: Path, laptop: Laptop
) -> None:
    registry = Registry(tmp_path, children, auth=real.password(tmp_path))
    image = small_image(f"{registry.host}/collector", "1", "one")
    registry.push(image)
    refused = f"the registry {registry.host} told no digest (401)"
    assert laptop.resolve(image.name) == refused, "no configuration at all"
    laptop.configure(auths={registry.host: login(password="another-9")})
    assert laptop.resolve(image.name) == refused
    laptop.configure(auths={f"http://{registry.host}/v1/": login()})
    assert laptop.resolve(image.name) == image.digest
    assert laptop.redactor.text(f"-{PASSWORD}-{login()['auth']}-") == f"-{MASK}-{MASK}-"

    told = json.dumps({"ServerURL": registry.host, "Username": USER, "Secret": PASSWORD})
    laptop.helper("vault", f'[ "$1 $server" = "get {registry.host}" ] && echo \'{told}\'')
    laptop.helper("empty", "echo credentials not found in native keychain; exit 1")
    laptop.helper("broken", "echo the vault is sealed; exit 2")
    laptop.configure(credsStore="vault", auths={registry.host: {}})
    assert laptop.resolve(image.name) == image.digest
    laptop.configure(credsStore="vault", credHelpers={registry.host: "empty"})
    assert laptop.resolve(image.name) == refused, "its own helper comes first"
    laptop.configure(credsStore="broken")
    assert laptop.resolve(image.name) == "docker-credential-broken gave no credential: the vault is sealed"
    laptop.configure(credsStore="nowhere")
    assert laptop.resolve(image.name) == "docker-credential-nowhere gave no credential: FileNotFoundError"
    (laptop.folder / "config.json").write_text("{")
    assert "config.json cannot be read: JSONDecodeError" in laptop.resolve(image.name)
    laptop.configure(auths={registry.host: {"auth": "!"}})
    assert "config.json cannot be read: Error" in laptop.resolve(image.name)


def test_who_asks_for_a_token_gets_one_for_pulling_this(
    children: Children, tmp_path: Path, laptop: Laptop, tokens: TokenServer
) -> None:
    registry = Registry(tmp_path, children, auth=tokens.settings)
    opened = small_image(f"{registry.host}/open/collector", "1", "one")
    closed = small_image(f"{registry.host}/team/collector", "1", "two")
    for image in (opened, closed):
        name = image.name.partition("/")[2].partition(":")[0]
        registry.push(image, token=tokens.token(f"repository:{name}:pull,push", True))

    assert laptop.resolve(opened.name) == opened.digest, "to anybody, as a public registry does"
    assert laptop.resolve(closed.name) == f"the registry {registry.host} told no digest (401)"
    laptop.configure(auths={registry.host: login()})
    assert laptop.resolve(closed.name) == closed.digest
    laptop.configure(auths={registry.host: login(password="another-9")})
    assert laptop.resolve(closed.name) == f"the registry {registry.host} gave no token (401)"
    laptop.configure(auths={registry.host: {"identitytoken": IDENTITY_TOKEN}})
    assert laptop.resolve(closed.name) == closed.digest
    told = json.dumps({"Username": "<token>", "Secret": IDENTITY_TOKEN})
    laptop.helper("vault", f"echo '{told}'")
    laptop.configure(credsStore="vault")
    assert laptop.resolve(closed.name) == closed.digest
    password, identity = "password", "identity token"
    assert tokens.asked == ["anonymous", "anonymous", password, password, identity, identity]
