"""The learning rate of every step, as a plain function of the step's number: resumed training needs no state of it."""

import math

from tfx_retail.config import TrainConfig


def rate(config: TrainConfig, step: int, *, epoch_steps: int, total_steps: int) -> float:
    """Returns the learning rate of step `step`, counted from 0.

    It rises in a line over the warm-up, then stays, or falls to 0 along half a cosine. Source: Loshchilov and Hutter, arXiv:1608.03983.
    """
    warmup = config.warmup_epochs * epoch_steps
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - warmup) / max(total_steps - warmup, 1)
    return config.learning_rate * (1 + math.cos(math.pi * min(done, 1.0))) / 2


def total_steps(config: TrainConfig, epoch_steps: int) -> int:
    """Returns how many steps the whole training takes, unless it stops early."""
    planned = config.epochs * epoch_steps
    return min(planned, config.max_steps) if config.max_steps else planned
