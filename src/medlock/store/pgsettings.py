"""What a PostgreSQL server must and must not be set to; checked on every new connection, before anything is asked.

Rows are sealed, but *which* rows are asked for together is not: bound parameters in a server's log are a diary of who
was looked up when, kept for as long as logs are kept. So parameters must not be logged. `log_error_verbosity` is left
alone: DETAIL lines name keys of violated constraints, and the writer asks before it inserts, so none are violated.
`pg_stat_statements` keeps texts without parameters. Pure: settings in, sentences out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

VERSION_MIN = 150_000
LOGGED_BY = {
    "log_statement": {"none", "ddl"},
    "log_min_duration_statement": {"-1"},
    "log_min_duration_sample": {"-1"},
    "log_transaction_sample_rate": {"0"},
}
"""Settings that make statements be logged, and their values that do not."""
_PLANS = ("debug_print_parse", "debug_print_rewritten", "debug_print_plan")
NAMES = (
    "server_version_num",
    "fsync",
    "log_parameter_max_length",
    "log_parameter_max_length_on_error",
    "auto_explain.log_min_duration",
    "pgaudit.log_parameter",
    *LOGGED_BY,
    *_PLANS,
)
"""The settings to ask for. Those of extensions exist only where the extension is loaded."""
Settings = Mapping[str, str]


def _version(now: Settings) -> list[str]:
    if int(now["server_version_num"]) < VERSION_MIN:
        return ["use PostgreSQL 15 or newer"]
    return []


def _durability(now: Settings) -> list[str]:
    """Acknowledged means: on disk."""
    return [] if now["fsync"] == "on" else ["set fsync = on, or acknowledged records are lost with the power"]


def _parameters(now: Settings) -> list[str]:
    """Parameters of statements that succeed are logged when statements are and parameters are not cut away."""
    logged = [name for name, quiet in LOGGED_BY.items() if now[name] not in quiet]
    if logged and now["log_parameter_max_length"] != "0":
        return [f"set log_parameter_max_length = 0, because {' and '.join(logged)} would log which rows are read"]
    return []


def _failures(now: Settings) -> list[str]:
    if now["log_parameter_max_length_on_error"] != "0":
        return ["set log_parameter_max_length_on_error = 0"]
    return []


def _plans(now: Settings) -> list[str]:
    """Plans hold parameters as constants, whatever the length of logged parameters."""
    printed = [f"set {name} = off" for name in _PLANS if now[name] != "off"]
    if now.get("auto_explain.log_min_duration", "-1") != "-1":
        printed.append("set auto_explain.log_min_duration = -1")
    return printed


def _audit(now: Settings) -> list[str]:
    return ["set pgaudit.log_parameter = off"] if now.get("pgaudit.log_parameter", "off") != "off" else []


_DEMANDS: Sequence[Callable[[Settings], list[str]]] = (_version, _durability, _parameters, _failures, _plans, _audit)


def to_do(now: Settings) -> list[str]:
    """What an operator must change before medlock may use this server; nothing when all is well."""
    return [sentence for demand in _DEMANDS for sentence in demand(now)]


def in_the_open(address: str | None, *, encrypted: bool) -> bool:
    """Whether a connection from this address (None: a unix socket) can be listened to on the way."""
    return not encrypted and address is not None and not ip_address(address).is_loopback
