"""The composition root: the only place where rooms are wired together."""

import gc
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import structlog
import trio

from actors.agent.understudy import Understudy
from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.conversation.service import Conversations, open_conversations
from actors.conversation.summary import describe
from actors.domain.commands import BusyPolicy
from actors.runtime import open_supervisor
from actors.sandbox.choose import choose
from actors.sandbox.port import SandboxKind
from actors.security.choice import ANALYZERS, Choice, judge_for
from actors.security.policy import Judge, Ruling
from actors.security.port import Risk
from actors.settings.keeper import Keeper, open_keeper
from storage.arrears import OWED_SECONDS_MAX
from storage.committer import Durability
from storage.disk import Disk
from storage.local_disk import LocalDisk, descriptors_of_logs_max
from storage.memory_disk import MemoryDisk
from storage.secrets import open_safe
from storage.store import Store, open_store
from transport import logs
from transport.addresses import http_address
from transport.admission import Admission
from transport.auth import SessionKey
from transport.config import Config
from transport.doorway import Doorway
from transport.engineio.connection import Peer
from transport.engineio.endpoint import Endpoint
from transport.engineio.options import Options
from transport.front import ASGIApp, Front
from transport.gateway import Gateway
from transport.http import actors, options, secrets, settings
from transport.http.app import make_app
from transport.http.options import Offer
from transport.http.workspaces import Places
from transport.listener import serve
from transport.origins import OriginPolicy, is_loopback
from transport.proxies import TrustedProxies
from transport.ratelimit import RateLimiter
from transport.refusals import Refusals
from transport.shutdown import Shutdown, shutdown_on_signals
from transport.socketio.server import Server

__all__ = ["run"]

logger = structlog.get_logger(__name__)

V0_PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
"""V0 announces this (contract §2.1)."""

DESCRIPTORS_SPARE = 128
"""For what is neither a connection nor a log that is written to: files that are read, the pipes of sandboxes."""

STAGGER_SECONDS = 1.0
"""Over which the clients of a server that shuts down are sent away; they come back after a second or more."""


def run(config: Config, disk: Disk | None = None, command: str = "greenroom") -> None:
    """Serve until SIGTERM or SIGINT, from the configured disk or from this one. `command` is how ours is typed.

    Raises `OSError` when the port is taken, `StorageError` for a bad data folder, `Escalated` when what keeps
    conversations going crashed again and again.
    """
    logs.configure(config.log_level, as_json=config.log_json)
    _raise_descriptor_limit()
    try:
        trio.run(_main, config, disk or _disk(config), command)
    except BaseExceptionGroup as group:
        # Nurseries wrap what is raised within them; who starts the server is told the one thing that went wrong.
        raise _only(group) from group


def _only(failure: BaseException) -> BaseException:
    while isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        [failure] = failure.exceptions
    return failure


def _disk(config: Config) -> Disk:
    return LocalDisk(config.data) if config.file_store == "local" else MemoryDisk()


async def _main(config: Config, disk: Disk, command: str) -> None:
    with shutdown_on_signals() as shutdown:
        with shutdown.total:
            await _serve(config, disk, command, shutdown)
        logger.info("stopped", cut_short=shutdown.total.cancelled_caught)


async def _serve(config: Config, disk: Disk, command: str, shutdown: Shutdown) -> None:
    listeners = await _listen(config)
    agent = Understudy()
    maker = await choose(
        SandboxKind(config.sandbox), hidden_paths=_hidden_paths(config), timeout_seconds=config.sandbox_timeout_seconds
    )
    async with (
        open_supervisor("server") as server,
        open_store(disk, describe, Durability(config.durability)) as store,
        _open_keeper(store, config) as keeper,
        open_conversations(
            store, agent, maker.open, _rules(config, keeper), keeper.masks, below=server
        ) as conversations,
    ):
        logs.configure(config.log_level, as_json=config.log_json, masks=keeper.masks)
        admission = _admission(config)
        refusals = Refusals()
        gateway = Gateway(conversations, admission, refusals)
        wire = _wire(config)
        endpoint = Server({"/": gateway}, wire, whose=partial(_whose, admission)).endpoint
        doorway = Doorway(endpoint.limits, admission.proxies.owner)
        policy = OriginPolicy(
            on_loopback=is_loopback(config.host),
            permitted_origins=config.permitted_cors_origins,
            permitted_hosts=config.permitted_hosts,
        )
        rest = make_app(
            conversations,
            policy,
            admission,
            partial(_readiness, store, shutdown),
            places=Places(config.vscode_url, config.web_hosts),
            serves_page=config.serve_frontend,
            resources=(
                settings.blueprint(keeper),
                secrets.blueprint(keeper),
                options.blueprint(Offer((agent.name,), (agent.name,), tuple(ANALYZERS)), keeper),
                actors.blueprint(conversations, server.statistics),
            ),
            refusals=refusals,
            metrics=lambda: _metrics(conversations, endpoint, refusals, config),
        )
        async with trio.open_nursery() as sessions:
            await sessions.start(endpoint.run)
            async with trio.open_nursery() as connections:
                front = Front(cast("ASGIApp", rest), endpoint, policy, admission, refusals)
                connections.start_soon(serve, listeners, front.app, front.upgrade, shutdown.begun, doorway)
                _settle()
                _tell_ready(config, listeners, command, maker.warning)
                await shutdown.begun.wait()
                conversations.refuse_commands()
                await endpoint.close_all(STAGGER_SECONDS)
                await conversations.drain(shutdown.grace)
            sessions.cancel_scope.cancel()


@asynccontextmanager
async def _open_keeper(store: Store, config: Config) -> AsyncIterator[Keeper]:
    """After the store, whose lock says that nobody else generates a secret meanwhile."""
    safe = await open_safe(store.disk, config.jwt_secret, config.jwt_secrets_old, health=store.health)
    yield await open_keeper(safe, [config.session_api_key or ""])


def _readiness(store: Store, shutdown: Shutdown) -> dict[str, Any]:
    """A server whose disk is full stays ready: who is sent elsewhere cannot read here either (K14)."""
    told = {
        "ready": not shutdown.begun.is_set(),
        "durability": store.durability,
        "storage": "degraded" if store.health.degraded else "ok",
    }
    return told if store.durability is Durability.SYNC else {**told, "durability_window_seconds": OWED_SECONDS_MAX}


def _hidden_paths(config: Config) -> tuple[Path, ...]:
    """What no command may see: the data, and the file that may hold secrets."""
    return (config.data,) if config.file is None else (config.data, config.file)


def _metrics(conversations: Conversations, endpoint: Endpoint, refusals: Refusals, config: Config) -> tuple[str, bytes]:
    from transport.metrics import Metrics  # a tenth of a second that no start waits for

    return Metrics(conversations, endpoint, refusals, config.durability).render()


def _rules(config: Config, keeper: Keeper) -> Rules:
    return Rules(
        idle=IdleLimits(config.close_delay_seconds, config.hibernate_after_seconds, config.close_connected),
        run_times_max=config.max_concurrent_conversations,
        start_deadline_seconds=config.start_deadline_seconds,
        busy=BusyPolicy(config.busy_policy),
        judge=partial(_judge, _operators_choice(config), keeper),
    )


def _wire(config: Config) -> Options:
    connections_max = min(config.connections_max, _connections_possible())
    if connections_max < config.connections_max:
        logger.info("connections_limited_by_descriptors", possible=connections_max, wanted=config.connections_max)
    return Options(
        max_payload_bytes=V0_PAYLOAD_BYTES_MAX,
        unknown_namespace_body="Unable to connect",
        sessions_max=config.connections_max,
        connections_max=connections_max,
        connections_per_address=config.connections_per_address,
        handshakes_max=config.handshakes_max,
        buffered_bytes_max=config.buffered_bytes_max,
        head_timeout_seconds=config.head_timeout_seconds,
        body_timeout_seconds=config.body_timeout_seconds,
        write_timeout_seconds=config.write_timeout_seconds,
    )


def _whose(admission: Admission, peer: Peer) -> str:
    return admission.address(peer.headers, peer.remote)


def _admission(config: Config) -> Admission:
    key = config.session_api_key
    return Admission(
        SessionKey(key.encode()) if key is not None else None,
        RateLimiter(config.rate_limit_per_second, config.rate_burst),
        TrustedProxies(config.trusted_proxies),
        config.path_prefix,
    )


def _operators_choice(config: Config) -> Choice:
    said = {
        Risk.UNKNOWN: config.on_unknown_risk,
        Risk.LOW: config.on_low_risk,
        Risk.MEDIUM: config.on_medium_risk,
        Risk.HIGH: config.on_high_risk,
    }
    rulings = {risk: Ruling(ruling) for risk, ruling in said.items() if ruling}
    return Choice(config.confirmation_mode, config.security_analyzer, rulings)


def _judge(operator: Choice, keeper: Keeper) -> Judge:
    stored = keeper.settings
    if stored is None:
        return judge_for(operator, Choice())
    return judge_for(operator, Choice(bool(stored.confirmation_mode), stored.security_analyzer or ""))


async def _listen(config: Config) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(config.port, host=config.host)
    except OSError as failure:
        where = f"{config.host} port {config.port}"
        raise OSError(failure.errno, f"cannot listen on {where}: {failure.strerror}") from failure


def _tell_ready(config: Config, listeners: list[trio.SocketListener], command: str, warning: str) -> None:
    host, port = listeners[0].socket.getsockname()[:2]
    url = http_address(host, port) + config.path_prefix
    logger.info("listening", url=url, data=str(config.data), durability=config.durability)
    in_terminal = f"{command} chat --url {url}"
    talk = f"in a browser there, or {in_terminal}" if config.serve_frontend else in_terminal
    lines = [f"Greenroom is ready on {url}", f"Talk to it: {talk}", "Stop it: Ctrl-C"]
    lines += [f"Warning: {text}" for text in (warning, _who_may_come_in(config)) if text]
    print("\n".join(lines), flush=True)  # noqa: T201 - for the person who typed the command


def _who_may_come_in(config: Config) -> str:
    """If that is everybody: empty where a key is asked for, or nobody else is there."""
    if config.session_api_key is not None:
        return ""
    if not is_loopback(config.host):
        return "everybody who reaches this address may use this server (--insecure)"
    if config.trusted_proxies:
        return "everybody whom the proxy lets through may use this server (there is no SESSION_API_KEY)"
    return ""


def _settle() -> None:
    """From here on garbage is looked for among what comes and goes. The modules and the catalogue of a start are there
    for good, and are passed over: a full look stops everybody for as long as it takes."""
    gc.freeze()
    gc.enable()


def _connections_possible() -> int:
    """A crowd of clients must not take the descriptors that logs are written by."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(soft - descriptors_of_logs_max() - DESCRIPTORS_SPARE, 1)


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
