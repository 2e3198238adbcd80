"""How many crash points were tried: said at the end of the run. `--crash-images` asks for more of them."""

import attrs
import pytest

__all__ = ["Tally"]


@attrs.define
class Count:
    """Of `steps` of the disk, `complete` ones were cut to every image that the model allows, the others to a sample."""

    tried: int = 0
    steps: int = 0
    complete: int = 0


@attrs.define
class Tally:
    """By what was cut; `images_max` images are tried of one step at the most."""

    images_max: int
    counts: dict[str, Count] = attrs.field(factory=dict)

    def add(self, what: str, tried: int, steps: int = 0, complete: int = 0) -> None:
        count = self.counts.setdefault(what, Count())
        count.tried += tried
        count.steps += steps
        count.complete += complete


IMAGES_PER_SEED = 2
"""One series of lives takes about as long as so many images."""

TALLY = pytest.StashKey[Tally]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "life_seed" in metafunc.fixturenames:
        images_max = metafunc.config.getoption("--crash-images")
        metafunc.parametrize("life_seed", range(images_max // IMAGES_PER_SEED))


@pytest.fixture
def tally(pytestconfig: pytest.Config) -> Tally:
    return pytestconfig.stash.setdefault(TALLY, Tally(pytestconfig.getoption("--crash-images")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash.get(TALLY, None)
    if tally is None:
        return
    terminalreporter.section("crash points")
    for what, count in tally.counts.items():
        steps = f"; all there are at {count.complete} of {count.steps} steps" if count.steps else ""
        terminalreporter.line(f"{count.tried:>7} {what.replace('_', ' ')}{steps}")
    terminalreporter.line(f"{sum(count.tried for count in tally.counts.values()):>7} in all (docs/log-format.md)")
