"""The rare branches that a campaign must have taken, by the names under which the trace counts them.

A simulation that never gets somewhere proves nothing of it: a campaign of `CAMPAIGN_SEEDS` or more fails when one of
these was never reached. Data only.
"""

__all__ = ["CAMPAIGN_SEEDS", "RARE"]

CAMPAIGN_SEEDS = 300
"""From here on the rarest of them is expected ten times and more."""

RARE = (
    # How a life ends, and in the middle of what.
    "death killed",
    "death power cut",
    "death in a step",
    "drained",
    "server gave up",
    # Where an actor crashes, and what becomes of those who waited.
    "crash activate",
    "crash activated",
    "crash turn",
    "crash turn of many",
    "crash publish",
    "crash turned",
    "crash snapshot",
    "refused crashed",
    "refused crash_loop",
    "joined again after a crash",
    # What happens to commands between lives of an actor.
    "commands waited while it woke",
    "commands handed over",
    # What the disk does, and what is said of it.
    "refused storage_degraded",
    "refused outcome_unknown",
    "event greenroom.log_repaired",
    # What time and room do.
    "shut timeout",
    "shut room",
    "shut drain",
    "log actor_hibernated",
    # Runs.
    "run interrupted",
    "run crashed",
    "run stopped",
    "run failed",
    "log run_time_failed",
    # Readers.
    "reader fell behind",
    "slow reader dropped",
    "draft shown",
    "draft became a message",
    "deleted",
    "replayed",
)
