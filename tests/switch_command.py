"""What a team would write to make a service use another database: the command and the probe of `restore.switch`."""

from __future__ import annotations

from pathlib import Path

# What a team would write: the address stands in the service's env file. The files beside it make it fail, or wait.
_SWITCH = """\
#!/bin/sh
set -eu
echo "$BACKOUT_DATABASE_FROM $BACKOUT_DATABASE_TO" >>switches.log
while [ -e hang ]; do sleep 0.05; done
if [ -e fail ]; then echo "the vault is sealed" >&2; exit 3; fi
env=srv/collector/shared/env
sed "s#^\\(DATABASE_URL=.*@\\).*#\\1$BACKOUT_HOST_TO:$BACKOUT_PORT_TO/$BACKOUT_DATABASE_TO#" $env >$env.new
chmod 600 $env.new
mv $env.new $env
"""
_PROBE = """\
#!/bin/sh
if [ -e unsure ]; then echo "the vault does not answer" >&2; exit 2; fi
if [ -e third ]; then echo elsewhere; exit 0; fi
sed -n 's#^DATABASE_URL=.*/\\([A-Za-z0-9_]*\\).*#\\1#p' srv/collector/shared/env
"""


def write_switch(bin_folder: Path) -> None:
    """Write both as `use-database` and `used-database`."""
    for name, script in (("use-database", _SWITCH), ("used-database", _PROBE)):
        path = bin_folder / name
        path.write_text(script)
        path.chmod(0o755)
