"""From measurements to the sentence."""

from __future__ import annotations

from fractions import Fraction

from parity.decision.deciding import decide
from parity.decision.factors import KINDS
from parity.decision.model import ARMS, Decision
from parity.decision.terminal import lines
from parity.measuring.model import Benched, Kept, Loss, Matrix, Measured, Start, Starts
from tests.parity.decision.parts import bench, measured, soak, soaked, source


def weights(**given: int | Fraction) -> dict[str, Fraction]:
    return {name: Fraction(given.get(name, 0)) for name in KINDS}


def matrix(tier: str = "live", **losses: list[Loss]) -> Measured:
    sessions = {"binary": Kept(kept=3, cells=6), "sdk": Kept(kept=6, cells=6)}
    data = Matrix(
        part=tier,  # type: ignore[arg-type]
        line="PASS",
        exit_code=0,
        expression="",
        themes={},
        sessions=sessions,
        losses={arm: losses.get(arm, []) for arm in ARMS},
    )
    return measured(data)


def starts(**routes: list[str]) -> Measured:
    asked = ["/v1/a", "/v1/b"]
    arms = {
        arm: Start(cold_start_s=[3.0, 2.0, 4.0], processes=1, memory_mb=90.0, routes=known)
        for arm, known in routes.items()
    }
    return measured(Starts(asked=asked, arms=arms))


def test_starts_are_read() -> None:
    """The median of the cold starts, the routes that are known, and memory where no load was measured."""
    found = decide({"starts": starts(binary=["/v1/a"], sdk=[])}, weights(), "w")
    assert factor(found, "cold_start") == {"binary": 3.0, "sdk": 3.0}
    assert factor(found, "routes") == {"binary": 1.0, "sdk": 0.0}
    assert factor(found, "memory") == {"binary": 90.0, "sdk": 90.0}


def loss(severity: str, clause: str = "errors.400", *, excused: bool = True) -> Loss:
    return Loss(severity=severity, notices="It.", clause=clause, scenarios=["a.b"], excused=excused)  # type: ignore[arg-type]


def factor(decision: Decision, name: str) -> dict[str, float] | None:
    return next(w.factor.values for w in decision.factors if w.factor.name == name)


def test_the_sentence_says_when_it_would_be_the_other() -> None:
    """Who wins, what only the other can do, and the weights that turn it; turned past there, it is the other."""
    parts = {"live": matrix(), "source": source(100, 50), "starts": starts(binary=["/v1/a", "/v1/b"], sdk=[])}
    found = decide(parts, weights(sessions=4, routes=1, lines=2), "my.yaml")
    assert found.sentence == (
        "sdk, unless you need audio, files and the other `/v1/` data routes, or weigh other routes reached above 3 "
        "(now 1)."
    )
    routes = next(w for w in found.factors if w.factor.name == "routes")
    assert (routes.flip_exact, routes.direction) == ("3", "above")
    past = Fraction(str(routes.flip_exact)) + Fraction(1, 1000)
    assert decide(parts, weights(sessions=4, routes=past, lines=2), "my.yaml").winner == "binary"


def test_what_was_not_measured_wins_for_nobody() -> None:
    """It is named, it has no score, and the result is that of the others alone."""
    alone = decide({"source": source(100, 50)}, weights(lines=1), "w")
    found = decide({"source": source(100, 50)}, weights(lines=1, latency=9, memory=3), "w")
    assert (found.winner, found.totals) == ("sdk", alone.totals)
    assert {"latency", "memory", "faults"} <= set(found.not_measured)
    assert (
        "Not measured, and counted for neither: latency of a small chat, memory at the most."
        in found.sentence
    )
    assert [w.scores for w in found.factors if w.factor.name == "latency"] == [None]
    [row] = [line for line in lines(found) if line.startswith("latency")]
    assert row.split()[5:8] == ["9", "not", "measured"]


def test_nothing_measured_is_no_recommendation() -> None:
    """Neither, and it says why."""
    assert decide({}, weights(lines=1), "w").sentence.startswith("Neither: nothing was measured.")
    level = decide({"source": source(50, 50)}, weights(lines=1), "w")
    assert (level.winner, level.sentence) == (None, "Neither: by these weights both are level.")


def test_one_factor_alone_is_turned_by_no_weight() -> None:
    """Where the winner is better in all that counts, no single weight changes that."""
    found = decide({"source": source(100, 50)}, weights(lines=1), "w")
    assert found.winner == "sdk"
    assert "reliance on" not in found.sentence


def test_behaviour_counts_by_severity_and_once() -> None:
    """What breaks counts most; sessions and routes have factors of their own; what nobody excused counts anywhere."""
    lost = [
        loss("broken"),
        loss("degraded"),
        loss("cosmetic"),
        loss("none"),
        loss("broken", "sessions.persistent"),
    ]
    found = decide(
        {"live": matrix(binary=lost, sdk=[loss("broken", "routes.data", excused=False)])}, weights(), "w"
    )
    assert factor(found, "behaviour") == {"binary": 13.0, "sdk": 9.0}
    [behaviour] = [w.factor for w in found.factors if w.factor.name == "behaviour"]
    assert behaviour.details == {"binary": "1 broken, 1 degraded, 1 cosmetic, 1 none", "sdk": "1 broken"}


def test_the_mocked_tier_says_nothing_of_cookies() -> None:
    """Sessions are seen with real sockets alone; behaviour falls back on what there is."""
    found = decide({"mocked": matrix("mocked", binary=[loss("degraded")])}, weights(), "w")
    assert factor(found, "behaviour") == {"binary": 3.0, "sdk": 0.0}
    assert factor(found, "sessions") is None


def test_the_bench_is_believed_before_the_soak() -> None:
    """Speed comes from bench.json where there is one: the fewest connections for latency, the best for throughput."""
    figures = {"p50_ms": 4.0, "requests_per_s": 100.0, "cpu_ms": 3.0, "first_ms": 7.0}
    faster = {name: value / 2 for name, value in figures.items()}
    parts = {"soak": soak(), "bench": measured(Benched(bench=bench(binary=figures, sdk=faster)))}
    found = decide(parts, weights(), "w")
    assert factor(found, "latency") == {"binary": 4.0, "sdk": 2.0}
    assert factor(found, "throughput") == {"binary": 100 * 8**0.5, "sdk": 50 * 8**0.5}
    assert factor(found, "first_token") == {"binary": 7.0, "sdk": 3.5}
    assert factor(found, "memory") == {"binary": 100.0, "sdk": 100.0}
    without = decide({"soak": soak(sdk=soaked(p50_ms=2.0, wrong=1))}, weights(), "w")
    assert factor(without, "latency") == {"binary": 4.0, "sdk": 2.0}
    assert factor(without, "first_token") is None


def test_half_a_measurement_is_none() -> None:
    """A figure of one architecture alone compares nothing."""
    parts = {
        "bench": measured(Benched(bench=bench(binary={"p50_ms": 1.0}))),
        "soak": soak(soaked(cpu_ms=None)),
    }
    found = decide(parts, weights(), "w")
    assert factor(found, "cpu") is None
    [latency] = [w.factor for w in found.factors if w.factor.name == "latency"]
    assert latency.evidence == "soak.json"


def test_latency_is_what_a_proxy_adds() -> None:
    """The provider's own time, asked directly, doesn't count; it does for both where one proxy is faster."""
    subjects = {"direct": {"p50_ms": 1.0}, "binary": {"p50_ms": 5.0}, "sdk": {"p50_ms": 3.0}}
    found = decide({"bench": measured(Benched(bench=bench(**subjects)))}, weights(latency=1), "w")
    assert factor(found, "latency") == {"binary": 4.0, "sdk": 2.0}
    subjects["direct"] = {"p50_ms": 4.0}
    found = decide({"bench": measured(Benched(bench=bench(**subjects)))}, weights(latency=1), "w")
    assert factor(found, "latency") == {"binary": 5.0, "sdk": 3.0}
