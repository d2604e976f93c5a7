"""What became of routed requests, for the Resonator: what they cost and took, and signs of a bad answer.

Knows exchanges and reports, not how anything is learned.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

from serve_apps.gateway.conversations import Conversations, talk_of
from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.reporting import Reporting
from serve_apps.gateway.router import Question
from serve_apps.gateway.verdict import BAD, implicit_score
from zoran_ray.access import usd
from zoran_ray.engines.breaker import arms_fault
from zoran_ray.errors import RequestError, ZoranError
from zoran_ray.routing.reports import MOST_ID_CHARS, Answered, Scored

ASKED_AGAIN = 0.25
"""Score of an answer after which the same request came again."""


class Lessons:
    """Watches exchanges end.

    Args:
        reporting: Takes the reports.
        conversations: Who answered last, what was asked last.
        now: Unix time in seconds.
    """

    def __init__(
        self, reporting: Reporting, conversations: Conversations, now: Callable[[], float] = time.time
    ) -> None:
        self._reporting = reporting
        self._conversations = conversations
        self._now = now

    @contextlib.contextmanager
    def of(self, exchange: Exchange) -> Iterator[None]:
        """One exchange from plan to end. Only those of `zoran/auto` teach anything."""
        question = exchange.plan.question
        if question is None:
            yield
            return
        self._notice_a_retry(exchange)
        began = time.perf_counter()
        try:
            yield
        except RequestError:
            raise  # the caller's own mistake
        except ZoranError as error:
            self._failures(exchange, question)
            if exchange.plan.wish is not None and arms_fault(error):
                self._failed(exchange, question, exchange.plan.chosen, 1)
            raise
        except BaseException:
            raise  # the client left, or we have a bug: nothing the arm could help
        else:
            self._failures(exchange, question)
            self._success(exchange, question, time.perf_counter() - began)

    def _notice_a_retry(self, exchange: Exchange) -> None:
        earlier = self._conversations.asked(exchange.key.key_id, exchange.body.raw, exchange.request_id)
        if earlier is not None and earlier != exchange.request_id:
            self._reporting.put(
                Scored(earlier, ASKED_AGAIN, exchange.key.key_id, at=self._now(), implicit=True)
            )

    def _success(self, exchange: Exchange, question: Question, latency_s: float) -> None:
        account, slo_ms = exchange.account, question.objective.latency_slo_ms
        # Of an agent the role has answered, whichever model it asked.
        who = account.model if exchange.plan.wish is None else exchange.plan.chosen
        self._conversations.answered(exchange.key.key_id, talk_of(exchange.body), who)
        late = slo_ms is not None and latency_s * 1000 > slo_ms
        self._reporting.put(
            self._report(
                exchange,
                question,
                who,
                exchange.request_id,
                output_tokens=account.usage.completion_tokens if account.usage else None,
                latency_s=latency_s,
                usd=usd(account.cost_nano),
                failed=late or account.engine_failed,
                score=_score(exchange),
            )
        )

    def _failures(self, exchange: Exchange, question: Question) -> None:
        """Each arm whose try failed, whoever answered in the end."""
        for number, name in enumerate(exchange.account.failed, 1):
            self._failed(exchange, question, name, number)

    def _failed(self, exchange: Exchange, question: Question, name: str, number: int) -> None:
        own_id = f"{number}:{exchange.request_id}"[:MOST_ID_CHARS]
        self._reporting.put(self._report(exchange, question, name, own_id))

    def _report(
        self,
        exchange: Exchange,
        question: Question,
        arm: str,
        request_id: str,
        *,
        output_tokens: int | None = None,
        latency_s: float | None = None,
        usd: float = 0.0,
        failed: bool = True,
        score: float | None = BAD,
    ) -> Answered:
        """The report of a try; of one that failed, where nothing else is said."""
        plan, decision = exchange.plan, exchange.plan.decision
        return Answered(
            request_id=request_id,
            arm=arm,
            chosen=plan.chosen,
            propensity=decision.propensity if decision else 1.0,
            snapshot_version=decision.snapshot_version if decision else 0,
            x=question.x,
            task=question.task,
            input_tokens=question.input_tokens,
            output_tokens=output_tokens,
            latency_s=latency_s,
            usd=usd,
            failed=failed,
            score=score,
            key_id=exchange.key.key_id,
            at=self._now(),
        )


def _score(exchange: Exchange) -> float:
    """What the signs say of an answer."""
    account = exchange.account
    if account.engine_failed:
        return BAD
    if account.score is not None:
        return account.score
    return implicit_score(exchange.body.document, account.answer)
