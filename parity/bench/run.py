"""Runs a bench: starts the subjects, makes load in interleaved rounds, and keeps a sample a round."""

from __future__ import annotations

import base64
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from parity.bench import endurance, processes
from parity.bench.endurance import Endurance
from parity.bench.fits import CONNECTED
from parity.bench.load import Job, Seen
from parity.bench.processes import LoadProcess, Upstream, upstream
from parity.bench.subjects import DIRECT, KEY, Running, Subject, missing, start
from parity.bench.upstream import Answer
from parity.bench.workloads import SEED, Workload, find
from parity.gateways.process import GatewayError
from proxies.support.redact import redact_text

FEWEST = 5
"""The fewest requests of a round in a closed loop, and no fewer than connections."""
LONGER = 3
"""How often a round is tried, each time three times as long, until there are so many."""

SLOWEST = 5
"""The requests a second below which an endurance is given up."""


@dataclass(frozen=True)
class Place:
    """Names what is measured of each subject: a workload with so many connections, at a rate in the open loop."""

    workload: Workload
    connections: int
    rate: float | None = None


@dataclass(frozen=True)
class Plan:
    """Holds what is to be measured, and how."""

    subjects: Sequence[Subject]
    workloads: Sequence[Workload]
    connections: dict[str, list[int]]
    """By workload."""
    rounds: int = 5
    seconds: float = 1.0
    warm_up: float = 0.3
    rate: float | None = None
    """Of the open loop; None: half of what the slowest subject did in the closed loop; 0: no open loop."""
    seed: int = 0
    headroom: float = 2.0
    upstream_port: int = 0
    fits: bool = False
    """Whether lines were asked for: then the memory is looked at, too, and a line that isn't there is told."""
    endurance: int = 0
    """The requests that each subject has to endure, one after the other; 0: none."""

    @property
    def served(self) -> list[Workload]:
        """Return the workloads that subjects and upstream have to know."""
        found = {workload.name: workload for workload in self.workloads}
        if self.endurance:
            found.setdefault(endurance.WORKLOAD, find(endurance.WORKLOAD))
        return list(found.values())

    @property
    def closed(self) -> list[Place]:
        """Return what is measured in the closed loop, of each workload from few connections to many."""
        return [
            Place(workload, connections)
            for workload in self.workloads
            for connections in self.connections[workload.name]
        ]

    @property
    def looks(self) -> list[Place]:
        """Return where the memory is looked at for a line, from few connections to many."""
        return [place for place in self.closed if self.fits and place.workload.name == CONNECTED]


@dataclass
class Samples:
    """Holds what was seen of one subject under one workload with so many connections."""

    subject: str
    workload: str
    connections: int
    rate: float | None = None
    reason: str = ""
    applies: bool = True
    requests: int = 0
    figures: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Outcome:
    """Holds what is known of one subject beside its samples."""

    subject: Subject
    reason: str = ""
    running: Running | None = None
    rest_mb: float | None = None
    peak_mb: float | None = None


@dataclass
class Measured:
    """Holds all that a run has seen."""

    outcomes: list[Outcome]
    samples: list[Samples]
    endured: list[Endurance] = field(default_factory=list)


class Bench:
    """Runs a plan once. `advance` is told of each round of each cell, `say` of what takes long."""

    def __init__(
        self,
        plan: Plan,
        advance: Callable[[str], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._plan = plan
        self._advance = advance
        self._say = say
        self._load: LoadProcess | None = None

    @property
    def steps(self) -> int:
        """Return how often `advance` is called.

        Once a start, a round of each cell, a look at the memory, and a batch of an endurance.
        """
        plan = self._plan
        opened = 0 if plan.rate == 0 else len(plan.workloads)
        endured = endurance.STEPS if plan.endurance else 0
        each = 1 + len(plan.looks) + plan.rounds * (len(plan.closed) + opened) + endured
        return len(plan.subjects) * each

    def run(self) -> Measured:
        """Start everything, measure, and stop everything. Raises `BenchError`."""
        answers = {
            workload.name: Answer(workload.pieces, workload.pace, workload.memory_answer)
            for workload in [*self._plan.served, find(SEED)]
        }
        with contextlib.ExitStack() as closing:
            provider = closing.enter_context(upstream(answers, self._plan.upstream_port))
            self._load = LoadProcess()
            closing.callback(self._load.stop)
            outcomes = [self._started(subject, provider, closing) for subject in self._plan.subjects]
            samples = self._lines(outcomes) if self._plan.fits else self._tables(outcomes)
            endured = [self._endured(outcome) for outcome in outcomes] if self._plan.endurance else []
            for outcome in outcomes:
                if outcome.running is not None and outcome.running.pid is not None:
                    outcome.peak_mb = processes.memory_mb(processes.tree(outcome.running.pid), "VmHWM")
        return Measured(outcomes, samples, endured)

    def _started(self, subject: Subject, provider: Upstream, closing: contextlib.ExitStack) -> Outcome:
        """Start one subject alone, so that nothing else counts in its start."""
        outcome = Outcome(subject)
        if reason := missing(subject):
            outcome.reason = reason
        else:
            self._say(f"starting {subject.title}")
            try:
                running = closing.enter_context(start(subject, self._plan.served, provider.url))
            except GatewayError as error:
                outcome.reason = redact_text(str(error))
            else:
                outcome.running = running
                if subject.name == DIRECT:  # what it costs is the least that an answer does
                    outcome.running = replace(running, pid=provider.pid)
                if outcome.running.pid is not None:
                    outcome.rest_mb = processes.memory_mb(processes.tree(outcome.running.pid))
        self._advance(f"started {subject.name}")
        return outcome

    def _tables(self, outcomes: Sequence[Outcome]) -> list[Samples]:
        """Measure one workload after the other: with few connections, with more, and in the open loop."""
        samples = []
        for workload in self._plan.workloads:
            self._prepare(workload, outcomes)
            found = []
            for connections in self._plan.connections[workload.name]:
                found += self._rounds([Place(workload, connections)], outcomes)
            samples += found + self._open(workload, outcomes, found)
        return samples

    def _open(
        self, workload: Workload, outcomes: Sequence[Outcome], closed: Sequence[Samples]
    ) -> list[Samples]:
        if self._plan.rate == 0 or not closed:
            return []
        most = max(self._plan.connections[workload.name])
        rate = self._plan.rate or _half_of_slowest(closed)
        return self._rounds([Place(workload, most, rate)], outcomes)

    def _lines(self, outcomes: Sequence[Outcome]) -> list[Samples]:
        """Measure all points of the lines in each round: so a machine that slows down meanwhile bends none of them.

        The memory is looked at before, from few connections to many: a process keeps what it once took.
        """
        looks = self._plan.looks
        if looks:
            self._prepare(looks[0].workload, outcomes)
        held = {}
        for place in looks:
            for samples in self._rounds([place], outcomes, looking=True):
                held[samples.subject, samples.connections] = samples
        for workload in self._plan.workloads:
            self._prepare(workload, outcomes)
        found = self._rounds(self._plan.closed, outcomes)
        for samples in found:
            look = held.get((samples.subject, samples.connections))
            if look is not None and samples.workload == CONNECTED and not samples.reason:
                samples.figures.update(look.figures)
                if look.reason:
                    samples.reason, samples.requests, samples.figures = look.reason, 0, {}
        for workload in self._plan.workloads:
            of_it = [samples for samples in found if samples.workload == workload.name]
            found += self._open(workload, outcomes, of_it)
        return found

    def _prepare(self, workload: Workload, outcomes: Sequence[Outcome]) -> None:
        """Ask the subjects for the first time, which costs more; the embedded store learns what is found later."""
        first = [workload]
        if workload.memory is not None and workload.memory["store"] == "embedded":
            first.insert(0, find(SEED))
        for outcome in outcomes:
            if outcome.running is None or outcome.subject.why_not(workload):
                continue
            assert self._load is not None
            for one in first:
                self._load.run(replace(self._job(outcome.running, one, 1, None), warm_up=0.0))

    def _rounds(
        self, places: Sequence[Place], outcomes: Sequence[Outcome], looking: bool = False
    ) -> list[Samples]:
        """Measure all places of all subjects in each round, each time in another order.

        With `looking` there is one round, of which only the memory is kept.
        """
        said = " ".join(f"{place.workload.name} {place.connections} {place.rate}" for place in places)
        order = random.Random(f"{self._plan.seed} {said}")  # noqa: S311  # no secret
        cells = [
            (outcome, place.workload, _unmeasured(outcome, place)) for place in places for outcome in outcomes
        ]
        for _ in range(1 if looking else self._plan.rounds):
            for outcome, workload, samples in order.sample(cells, len(cells)):
                if not samples.reason:
                    self._round(outcome, workload, samples, looking)
                self._advance(f"{samples.subject}, {workload.name}, {samples.connections}")
        return [samples for _, _, samples in cells]

    def _round(self, outcome: Outcome, workload: Workload, samples: Samples, looking: bool) -> None:
        assert outcome.running is not None
        assert self._load is not None
        pids = processes.tree(outcome.running.pid) if outcome.running.pid is not None else []
        job = self._job(outcome.running, workload, samples.connections, samples.rate)
        for _ in range(LONGER):
            before, main_before = processes.cpu(pids), processes.cpu(pids[:1])
            with processes.memory_after(pids if looking else [], job.warm_up + 0.9 * job.seconds) as held:
                seen = self._load.run(job)
            if seen.wrong or job.rate is not None or seen.requests >= max(FEWEST, job.connections):
                break
            job = replace(job, seconds=job.seconds * 3)  # a slow subject is given more time
        if seen.wrong or not seen.requests:
            samples.reason = _reason(seen)
            samples.figures.clear()
            samples.requests = 0
            return
        figures = {} if looking else dict(seen.figures)
        if pids and not looking:
            figures["cpu_ms"] = 1000 * processes.cpu(pids).since(before) / seen.answered
            figures["cpu_main_ms"] = 1000 * processes.cpu(pids[:1]).since(main_before) / seen.answered
        if held:
            figures["memory_mb"] = held[0]
        for name, value in figures.items():
            samples.figures.setdefault(name, []).append(value)
        samples.requests += seen.requests

    def _endured(self, outcome: Outcome) -> Endurance:
        """Let one subject answer all the requests of an endurance, while the others are idle."""
        running, load = outcome.running, self._load
        assert load is not None
        if running is None or running.pid is None:
            for _ in range(endurance.STEPS):
                self._advance(f"{outcome.subject.name}, endurance")
            return Endurance(outcome.subject.name, outcome.reason or "its processes aren't known")
        pid = running.pid
        job = self._job(running, find(endurance.WORKLOAD), endurance.CONNECTIONS, None)

        def ask(requests: int) -> Seen:
            slowest = 60 + requests / SLOWEST
            return load.run(replace(job, requests=requests, warm_up=0.0, seconds=slowest))

        found = endurance.endure(
            outcome.subject.name,
            self._plan.endurance,
            ask,
            lambda: processes.memory_mb(processes.tree(pid)),
            self._advance,
        )
        found.reason = _public(found.reason)
        return found

    def _job(self, running: Running, workload: Workload, connections: int, rate: float | None) -> Job:
        place = urlsplit(running.url)
        return Job(
            host=place.hostname or "127.0.0.1",
            port=place.port or 80,
            request=base64.b64encode(running.request(workload)).decode(),
            status=workload.status,
            must=running.subject.must(workload),
            stream=workload.chunks > 0,
            connections=connections,
            seconds=self._plan.seconds,
            warm_up=self._plan.warm_up,
            rate=rate,
        )


def _unmeasured(outcome: Outcome, place: Place) -> Samples:
    """Return the place for a cell's samples, with the reason where there can be none."""
    samples = Samples(outcome.subject.name, place.workload.name, place.connections, place.rate)
    if why := outcome.subject.why_not(place.workload):
        samples.applies, samples.reason = False, why
    elif outcome.running is None:
        samples.reason = outcome.reason
    return samples


def _half_of_slowest(found: Sequence[Samples]) -> float:
    """Return a rate that all can keep up with: half of what the slowest subject did with most connections."""
    most = max(samples.connections for samples in found)
    done = [
        sorted(samples.figures["requests_per_s"])[len(samples.figures["requests_per_s"]) // 2]
        for samples in found
        if samples.figures and samples.connections == most
    ]
    return round(min(done) / 2, 1) if done else 1.0


def _reason(seen: Seen) -> str:
    """Say why a round gave no number; nothing of a key is in it."""
    if not seen.wrong:
        return "nothing was answered within the round; give it more time with --seconds"
    text = f"{seen.wrong} of {seen.answered or seen.wrong} requests went wrong, the first: {seen.reason}"
    return _public(text)


def _public(text: str) -> str:
    return redact_text(text.replace(KEY, "***"))
