"""The files of the demo's stage: what a team would have written by hand."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from backout.children import basic_env

_DEPLOY = """\
#!/bin/sh
# bin/deploy VERSION: what many teams have. Copies the release, moves the link, restarts the process.
set -eu
version=$1
stage={stage}
root=$stage/srv/collector
pid_file=$root/shared/collector.pid

if [ ! -d "$root/releases/$version" ]; then
    cp -R "$stage/builds/$version" "$root/releases/.$version.new"
    mv "$root/releases/.$version.new" "$root/releases/$version"
fi
ln -sfn "releases/$version" "$root/current"

if [ -f "$pid_file" ]; then
    pid=$(cat "$pid_file")
    kill -TERM "$pid" 2>/dev/null || true
    tries=0
    # A zombie is gone too: some containers have nobody who collects it.
    while kill -0 "$pid" 2>/dev/null && ! ps -o stat= -p "$pid" | grep -q Z; do
        tries=$((tries + 1))
        if [ "$tries" -gt 200 ]; then kill -KILL "$pid" 2>/dev/null || true; fi
        sleep 0.05
    done
fi

cd -P "$root/current"
set -a
. "$root/shared/env"
set +a
nohup {python} -m collector >>"$root/shared/log/collector.log" 2>&1 </dev/null &
echo $! >"$pid_file.new"
mv "$pid_file.new" "$pid_file"
"""

_MIGRATE = """\
#!/bin/sh
# bin/migrate VERSION: runs what a release brings for the schema, in one transaction.
exec {python} - {builds}/"$1"/collector/migration.sql <<'END'
import os, pathlib, sys
import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute(pathlib.Path(sys.argv[1]).read_text())
END
"""

_SMOKE = """\
#!/bin/sh
# Sends one report through the front port and reads it back.
exec {python} - <<'END'
import json, urllib.error, urllib.request, uuid

opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
tenant, report = "smoke-test-tenant", str(uuid.uuid4())
body = json.dumps({{"id": report, "tenant": tenant, "body": "smoke"}}).encode()
try:
    opener.open(urllib.request.Request({url!r} + "/reports", body), timeout=10).close()
    with opener.open({url!r} + "/reports?tenant=" + tenant, timeout=10) as answer:
        found = [r["id"] for r in json.load(answer)["reports"]]
except urllib.error.HTTPError as error:
    raise SystemExit(f"{{error.url}} answered {{error.code}} {{error.reason}}")
if report not in found:
    raise SystemExit("the report just sent is not among the last ones of its tenant")
print("one report sent and read back")
END
"""

MAX_P95_MS = 250
_CONFIG = """\
# What backout knows about this service; ${{NAME}} is taken from the environment.
service: collector
environment: production

platform:
  kind: process
  root: srv/collector
  start: {start}
  env_file: shared/env
  pid_file: shared/collector.pid
  log_file: shared/log/collector.log
  ready_url: {service}/health

router:
  kind: front
  admin: {admin}

database:
  kind: postgres
  url: ${{DATABASE_URL}}
  programs: {programs}

backups:
  kind: directory
  path: backups

restore:
  free_space_path: {data}
  min_free_bytes: 100000000
  tenants: public.reports.tenant

checks:
  - kind: http
    name: health
    url: {front}/health
    expect_json: {{status: ok, service: collector, database: connected}}
    exact: true
    version_header: X-Collector-Version
  - kind: probes
    name: reading reports
    url: {front}/reports?tenant=acme-eu&limit=10
    count: 300
    per_second: 150
    concurrency: 16
    max_error_rate: 0.01
    max_p95_ms: {p95}
  - kind: command
    name: smoke
    run: [bin/smoke]
    timeout_s: 15
  - kind: sql
    name: no report without a tenant
    query: SELECT count(*) FROM reports WHERE tenant = ''
    expect: 0
"""


def config(front_url: str, admin_url: str, service_url: str, *, programs: Path, data: Path) -> str:
    """Return `backout.yaml`; `programs` are PostgreSQL's, `data` lies on its disk."""
    return _CONFIG.format(
        p95=MAX_P95_MS,
        start=json.dumps([sys.executable, "-m", "collector"]),
        service=service_url,
        admin=admin_url,
        front=front_url,
        programs=json.dumps(str(programs)),
        data=json.dumps(str(data)),
    )


def deploy(stage: Path) -> str:
    """Return the team's deploy script."""
    return _DEPLOY.format(stage=shlex.quote(str(stage)), python=shlex.quote(sys.executable))


def migrate(stage: Path) -> str:
    """Return the team's script that migrates the database."""
    return _MIGRATE.format(builds=shlex.quote(str(stage / "builds")), python=shlex.quote(sys.executable))


def smoke(front_url: str) -> str:
    """Return the smoke check."""
    return _SMOKE.format(python=shlex.quote(sys.executable), url=front_url)


def write_script(path: Path, text: str) -> None:
    """Write an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def write_env(path: Path, database_url: str, port: int) -> None:
    """Write the service's environment, readable by its owner only: it holds the password."""
    variables = {
        "DATABASE_URL": database_url,
        "PORT": str(port),
        # The code in a release directory must stay as it was deployed: it is what tells releases apart.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    variables.update({key: value for key, value in basic_env().items() if key == "PYTHONPATH"})
    path.touch(mode=0o600)
    path.write_text(
        "".join(f"{key}={shlex.quote(value)}\n" for key, value in variables.items()), encoding="utf-8"
    )
