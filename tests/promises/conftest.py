"""Each promise that both proxies owe is tested on both."""

from __future__ import annotations

import pytest

from parity.targets.arms import ARMS, Arm


@pytest.fixture(params=ARMS)
def arm(request: pytest.FixtureRequest) -> Arm:
    """One proxy after the other; the sdk one only where LiteLLM is installed."""
    if request.param == "sdk":
        pytest.importorskip("litellm", reason="the sdk proxy needs litellm: pip install 'proxy-parity[sdk]'")
    chosen: Arm = request.param
    return chosen
