"""The matrix goes red for every mistake in `tests.miniatures`, at the scenarios that are about it and no other."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import cache
from unittest.mock import patch

import pytest

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue
from parity.judging.ledger import BUILT_IN, Ledger
from parity.judging.verdict import Verdict, judge
from parity.observation.model import Observation
from parity.targets.arms import ARMS, Arm
from parity.targets.target import MockedTarget
from tests import miniatures
from tests.miniature import Miniature

# Which scenarios are played, by what they have in common.
HINTED, LABELLED, DEVELOPERS = (
    "chat.hints_to_claude[chat_cache_key]",
    "chat.judged_parameters[gpt_4o_metadata]",
    "chat.developer_role[gpt_5]",
)
BLOCK, COUNTED = "chat.attachment_refused[unknown]", "messages.count_tokens_refused"
pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

GOES_ON = "responses.not_of_claude[previous]"
THOUGHT, NO_ROOM = "streaming.anthropic_thinking[uncounted]", "chat.no_room_to_think[max_tokens]"
DOOR, PAGE = "requests.other_doors[groq]", "requests.browsers[chat]"
COMPLETIONS = {
    HINTED,
    LABELLED,
    DEVELOPERS,
    DOOR,
    "chat.plain",
    "chat.rate_limited_in_words",
    "chat.tags_in_text[think]",
    "chat.response_headers",
    "chat.tool_call",
    "chat.two_choices",
    "chat.unicode",
    "chat.unknown_parameter",
    "routing.no_user_elsewhere",
    "routing.supermemory_user[custom_header]",
}
STREAMS = {
    THOUGHT,
    "streaming.error_frame",
    "streaming.finish_reason_unknown[error]",
    "streaming.plain",
    "streaming.refusal[openai]",
    "streaming.response_headers",
    "streaming.tool_call",
    "streaming.tool_calls_disordered[no_index]",
    "streaming.unicode",
    "streaming.usage",
}
NOT_TAKEN = {"errors.answer_too_large[openai]", "errors.redirect_refused[found]"}
PROVIDER_ERRORS = NOT_TAKEN | {
    "errors.answer_stumbled_over[no_message]",
    "errors.other_shape[list]",
    "errors.provider_headers[long_chat_429]",
    "errors.not_asked[role]",
    "errors.connection_refused[openai]",
    "errors.openai_status[429]",
    "errors.openai_status[503]",
    "streaming.error_before_first_frame[rate_limit]",
}
OWN_ERRORS = {
    "auth.refused[missing]",
    "auth.refused[wrong]",
    "errors.unknown_path[outside]",
    "errors.wrong_method[chat]",
    "requests.content_type[text]",
    "requests.nesting[too_deep]",
    "requests.query[api_key]",
    "requests.steering[api_base]",
    "requests.steering_tools[gateway_path]",
    "requests.schema_size",
    "requests.unknown_model[plain]",
    BLOCK,
    COUNTED,
    GOES_ON,
    NO_ROOM,
    PAGE,
}
HANG_UPS = {"streaming.hang_up", "streaming.hang_up_early[stream]"}
ROUTING = {"routing.custom_header[own_name]", "routing.info_echoes_nothing"}
ERRORS = PROVIDER_ERRORS | OWN_ERRORS
SUBSET = COMPLETIONS | STREAMS | ERRORS | HANG_UPS | ROUTING | {"health.alive[bare]", "models.list"}

RED: dict[type[Miniature], set[str]] = {
    miniatures.WrapsErrorsInDetail: ERRORS,
    miniatures.DropsRetryAfter: {
        "errors.openai_status[429]",
        "errors.provider_headers[long_chat_429]",
        "streaming.error_before_first_frame[rate_limit]",
    },
    miniatures.AnswersErrorsWith200: ERRORS,
    miniatures.SendsErrorsAsText: ERRORS,
    miniatures.LosesTheSentence: ERRORS,
    miniatures.BlursStatuses: NOT_TAKEN
    | {
        "errors.answer_stumbled_over[no_message]",
        "errors.connection_refused[openai]",
        "errors.openai_status[503]",
    },
    miniatures.BelievesWords: {"chat.rate_limited_in_words"},
    miniatures.SilencesErrorFrames: {"streaming.error_frame", "streaming.finish_reason_unknown[error]"},
    miniatures.InventsAnEnd: {"streaming.error_frame", "streaming.finish_reason_unknown[error]"},
    miniatures.NumbersCallsAlike: {"streaming.tool_calls_disordered[no_index]"},
    miniatures.SwallowsRefusals: {"streaming.refusal[openai]"},
    miniatures.BlamesTheRequest: NOT_TAKEN
    | {"errors.answer_stumbled_over[no_message]", "errors.connection_refused[openai]"},
    miniatures.CutsTagsOut: {"chat.tags_in_text[think]"},
    miniatures.MakesUpACost: {"streaming.usage", THOUGHT},
    miniatures.CountsThoughts: {THOUGHT},
    miniatures.ThinksOverTheLimit: {NO_ROOM},
    miniatures.HasOneDoor: {DOOR},
    miniatures.WelcomesEveryPage: {PAGE},
    miniatures.QuotesTheConversation: {
        "errors.other_shape[list]",
        "errors.not_asked[role]",
        "requests.query[api_key]",
        "requests.schema_size",
        "requests.steering[api_base]",
        "requests.steering_tools[gateway_path]",
        BLOCK,
        NO_ROOM,
    },
    miniatures.HandsRedirectsOn: {"errors.redirect_refused[found]"},
    miniatures.UnpacksAnything: {"errors.answer_too_large[openai]"},
    miniatures.ForgetsAllowedMethods: {"errors.wrong_method[chat]", PAGE},
    miniatures.BuffersStreams: STREAMS | {"streaming.hang_up"},
    miniatures.SwallowsAChunk: STREAMS,
    miniatures.ForgetsDone: STREAMS,
    miniatures.LosesStreamedUsage: {"streaming.usage", THOUGHT},
    miniatures.IgnoresDisconnects: HANG_UPS,
    miniatures.RenamesAField: COMPLETIONS,
    miniatures.EchoesTheProvidersModel: COMPLETIONS | STREAMS,
    miniatures.DamagesText: {"chat.unicode", "streaming.tool_call", "streaming.unicode"},
    miniatures.DoublesArguments: {
        "chat.tool_call",
        "streaming.tool_call",
        "streaming.tool_calls_disordered[no_index]",
    },
    miniatures.DropsNulls: {HINTED, "chat.tool_call"}
    | (ERRORS - {"requests.unknown_model[plain]", COUNTED})
    | ROUTING,
    miniatures.KeepsOneChoice: {"chat.two_choices"},
    miniatures.LosesTheRequestId: {"chat.response_headers", "streaming.response_headers"},
    miniatures.LeaksTheBackend: {"chat.response_headers", "streaming.response_headers"},
    miniatures.CountsCharacters: {"chat.unicode"},
    miniatures.LosesTheUser: {"routing.custom_header[own_name]", "routing.supermemory_user[custom_header]"},
    miniatures.CallsTwice: (COMPLETIONS | STREAMS | PROVIDER_ERRORS | HANG_UPS),
    miniatures.AcceptsAnyKey: {"auth.refused[wrong]"},
    miniatures.LocksTheHealthCheck: {"health.alive[bare]"},
    miniatures.IgnoresSteering: {"requests.steering[api_base]"},
    miniatures.ReadsAnythingAsJson: {"requests.content_type[text]"},
    miniatures.OverlooksTools: {"requests.steering_tools[gateway_path]"},
    miniatures.IgnoresTheQuery: {"requests.query[api_key]"},
    miniatures.GivesUpOnNesting: {"requests.nesting[too_deep]"},
    miniatures.DropsUnknownParameters: {"chat.unknown_parameter", LABELLED, GOES_ON},
    miniatures.RenamesDeveloper: {DEVELOPERS},
    miniatures.JudgesByATable: {LABELLED},
    miniatures.ForgetsTheConversation: {GOES_ON},
    miniatures.LeavesBlocksOut: {BLOCK},
    miniatures.TakesAnySize: {"requests.schema_size"},
    miniatures.EstimatesTokens: {COUNTED},
    miniatures.RefusesHints: {HINTED},
    miniatures.RestlessModels: {"models.list"},
    miniatures.NestsTheRouting: ROUTING,
    miniatures.EchoesHeaders: {"routing.info_echoes_nothing"},
}

SEEN_BY_COMPARING = {miniatures.RestlessModels}
"""The mistakes that would pass if both proxies made them; all others break the contract, too."""


@pytest.fixture(params=ARMS)
def arm(request: pytest.FixtureRequest) -> Arm:
    if request.param == "sdk":
        pytest.importorskip("litellm")
    chosen: Arm = request.param
    return chosen


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    """No cell talks TLS, and what a mistake keeps waiting need not be waited for long."""
    context = _tls()
    with (
        patch("ssl.create_default_context", lambda *_, **__: context),
        patch("parity.targets.asgi.DISCONNECT_DEADLINE", 0.5),
        patch("parity.targets.lockstep.PATIENCE", 0.2),
    ):
        yield


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@cache
def _catalogue() -> Catalogue:
    """The files of the subset, with all of their cases: an entry of the ledger may be about a whole template."""
    templates = {scenario_id.partition("[")[0] for scenario_id in SUBSET}
    return Catalogue.load(loading.BUILT_IN / f"{name.replace('.', '/')}.yaml" for name in sorted(templates))


@cache
def _ledger() -> Ledger:
    return Ledger.load(BUILT_IN)


_right: dict[tuple[str, Arm], Observation] = {}
"""What the app itself shows, kept over the tests of a process."""


async def judged(arm: Arm, miniature: type[Miniature]) -> Verdict:
    """The matrix with the app and the same app behind a miniature as its two targets."""
    observations = []
    for scenario in _catalogue().select(SUBSET):
        if (scenario.id, arm) not in _right:
            _right[scenario.id, arm] = await MockedTarget(arm).observe(scenario)
        seen = await MockedTarget(arm, wrap=miniature).observe(scenario)
        observations += [_right[scenario.id, arm], seen.model_copy(update={"target": "miniature"})]
    planned = [(scenario, target) for scenario in SUBSET for target in (arm, "miniature")]
    return judge(planned, observations, _catalogue(), _ledger(), "mocked", (arm, "miniature"))


def red(verdict: Verdict) -> set[str]:
    return {scenario.id for scenario in verdict.scenarios if not scenario.ok}


async def test_nothing_is_red_without_a_mistake(arm: Arm) -> None:
    """The app behind a miniature that makes no mistake passes every scenario of the subset."""
    verdict = await judged(arm, Miniature)
    assert red(verdict) == set()
    assert verdict.exit_code == 0
    assert {scenario.id for scenario in verdict.scenarios} == SUBSET


@pytest.mark.parametrize("miniature", RED, ids=lambda miniature: miniature.__name__)
async def test_every_mistake_is_red_where_it_shows(miniature: type[Miniature], arm: Arm) -> None:
    """A mistake fails the run at exactly the scenarios that it touches."""
    verdict = await judged(arm, miniature)
    assert red(verdict) == RED[miniature]
    assert verdict.exit_code == 1
    broken = {s.id for s in verdict.scenarios if s.cells["miniature"].contract == "broken"}
    assert bool(broken) is (miniature not in SEEN_BY_COMPARING)


def test_every_miniature_is_tried() -> None:
    """No mistake is written down and then forgotten."""
    assert {m for m in Miniature.__subclasses__() if m.__module__ == miniatures.__name__} == set(RED)
    assert all(miniature.__doc__ for miniature in RED)
