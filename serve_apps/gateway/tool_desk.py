"""The tools of one gateway, for requests to strategies: opened once, used in the name of keys, told of.

A tool is had where the server's settings allow it and the policy grants it to who wants it, a strategy or a
role. Nothing is started before one wants it. What cannot be had is a typed error of that request; nothing
else of the gateway waits for it. Knows strategies by their protocol of tools, and no model.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from functools import partial

from actors.told import Telling
from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.memory_desk import MemoryDesk
from serve_apps.gateway.memory_of_one import MemoryOfOne
from serve_apps.gateway.privacy_desk import PrivacyDesk
from serve_apps.gateway.strategies import Wish, placed
from serve_apps.gateway.tool_privacy import SeenThroughPrivacy
from zoran_ray.errors import ConfigError, InvalidRequest, Unavailable, ZoranError
from zoran_ray.journal import Event, Kind
from zoran_ray.journal.entry import token
from zoran_ray.policy import ToolGate
from zoran_ray.privacy import unmask
from zoran_ray.reasoning.acting import OpenTools, Tools
from zoran_ray.settings import ToolSettings
from zoran_ray.tools.code_runner import CodeRunner, NoRunner
from zoran_ray.tools.code_tool import CodeTool
from zoran_ray.tools.memory_tool import MemoryTool, Unbound
from zoran_ray.tools.offered import AllowedTools
from zoran_ray.tools.tool import Tool
from zoran_ray.tools.toolbox import Toolbox, ToolCall

log = logging.getLogger("zoran.gateway")

_RETRY_S = 1.0
_OUTSIDE = frozenset({"network", "code"})


class ToolDesk:
    """Hands out tools.

    Args:
        settings: What the operator allows.
        environ: Where the variables are that MCP servers get.
        telling: Tells the journal of each call.
        privacy: What a model may see of what tools show.
        memory: Asked by the tool `memory`; None: there is none.
        runner: Runs the programs of the tool `code`.
        policy: Who may use what of that; None for the policy that is shipped.
        more: Other tools that only this server can make, such as a search in its files.
    """

    def __init__(
        self,
        settings: ToolSettings,
        environ: Mapping[str, str],
        telling: Telling,
        privacy: PrivacyDesk,
        *,
        memory: MemoryDesk | None = None,
        runner: CodeRunner | None = None,
        policy: ToolGate | None = None,
        more: tuple[Tool, ...] = (),
    ) -> None:
        self._settings = settings
        self._telling = telling
        self._privacy = privacy
        self._memory = memory
        self._policy = policy or ToolGate()
        ours: tuple[Tool, ...] = (MemoryTool(Unbound()), CodeTool(runner or NoRunner()), *more)
        self._open = partial(AllowedTools, settings, environ, more=ours)
        self._allowed: AllowedTools | None = None
        self._secret = secrets.token_bytes(32)

    def of(self, exchange: Exchange, wish: Wish, *, remote: bool) -> OpenTools:
        """Opens the tools of a request, once its strategy wants them.

        Args:
            exchange: The request as its model may see it.
            remote: Whether what the model sees leaves this deployment.
        """

        async def opened() -> Tools:
            with placed("tools"):
                box = await self._box(wish)
                tools = box.bound(self._bound(exchange, wish, box), partial(self._tell, exchange))
            if self._privacy.passes(exchange.key.tenant, remote):
                return tools
            return SeenThroughPrivacy(tools, partial(self._privacy.joins, exchange, remote=remote))

        return opened

    async def run(self) -> None:
        """Tells the journal, until cancelled."""
        while True:
            with contextlib.suppress(ZoranError):
                await self._telling.run()
            await asyncio.sleep(_RETRY_S)

    async def last_words(self) -> None:
        """Tells the journal what it has not heard. Raises: ZoranError: It does not hear."""
        await self._telling.flush()

    async def close(self) -> None:
        """Ends what was started."""
        allowed, self._allowed = self._allowed, None
        if allowed is not None:
            await allowed.close()

    async def _box(self, wish: Wish) -> Toolbox:
        """The tools that a request may use.

        Raises:
            InvalidRequest: It names one that is not allowed, or the memory without saying whose.
            ZoranError: One of them cannot be had now.
        """
        asked = wish.tools
        names = asked.allowed
        if asked.memory is None and MemoryTool.name in (names or ()):
            raise InvalidRequest(
                "The tool 'memory' needs to know whose: give 'zoran.tools.memory' a subject.",
                param="memory",
            )
        if names is not None:
            names = tuple(name for name in names if wish.uses is None or name in wish.uses)
        box = await self._opened(wish, names)
        offered = {offer.name for offer in box.offers}
        return box if asked.memory else box.only(offered - {MemoryTool.name})

    async def _opened(self, wish: Wish, names: tuple[str, ...] | None) -> Toolbox:
        try:
            if self._allowed is None:
                self._allowed = self._open()
            granted = await asyncio.to_thread(self._policy.grants, wish.who)
            return await self._allowed.toolbox(names, partial(_may, wish, granted))
        except ConfigError as error:
            # Its text is the operator's: it may name files and variables.
            log.error("the tools cannot be used: %s", error.message)
            raise Unavailable(
                "The tools of this server cannot be used as they are; the operator finds in the log why."
            ) from None
        except InvalidRequest:
            raise
        except ZoranError as error:
            log.warning("a tool cannot be had: %s", error.message)
            raise

    def _bound(self, exchange: Exchange, wish: Wish, box: Toolbox) -> tuple[Tool, ...]:
        """Tools that know whose request it is."""
        use = wish.tools.memory
        if use is None or self._memory is None:
            return ()
        return (
            MemoryTool(
                MemoryOfOne(
                    self._memory,
                    exchange.key,
                    use,
                    exchange.request_id,
                    writer=f"model:{wish.inner}",
                    # What a model says that may have read strangers' texts is not trusted more than these.
                    trusted=not box.reaches & _OUTSIDE,
                    plain=_plainly(exchange),
                    secret=self._secret,
                )
            ),
        )

    def _tell(self, exchange: Exchange, call: ToolCall) -> None:
        """Tells the journal of a call: nothing that was said."""
        meta = {
            "request": token(exchange.request_id),
            "tool": token(call.name),
            "ok": call.ok,
            "took_ms": round(call.took_ms),
            "result_bytes": call.result_bytes,
        }
        self._telling.put([Event(Kind.TOOL_CALL, meta, exchange.key.tenant)])


def _may(wish: Wish, granted: Callable[[str, str], bool], name: str, permission: str) -> bool:
    return (wish.uses is None or name in wish.uses) and granted(name, permission)


def _plainly(exchange: Exchange) -> Callable[[str], str]:
    """Puts back what was masked in this request, for what stays in this deployment."""

    def plain(text: str) -> str:
        for shown in exchange.shown:
            text = unmask(text, shown.known.get)
        return text

    return plain
