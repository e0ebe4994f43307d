"""What the calibration of a run means, in words."""

from __future__ import annotations

from core.config import RunConfig
from core.insight.calibration import Calibration


def describe_confidence(name: str, config: RunConfig, calibration: Calibration) -> str:
    """Say whether a run is calibrated, overconfident or underconfident, and where that is from.

    Args:
        name: of the run.
        config: of the run.
        calibration: of its predictions.
    """
    before = calibration.before
    figures = (
        f"its probabilities average {_percent(before.confidence)}, and {_percent(before.accuracy)} "
        "of its predictions are correct"
    )
    if calibration.is_calibrated:
        return (
            f"As far as {before.count:,} images can tell, {name} is calibrated: {figures}. Its "
            f"calibration error of {_percent(before.error)} is not above the "
            f"{_percent(calibration.chance)} that chance alone may cause."
        )
    # The bins may disagree on the direction; then the means say little.
    if abs(calibration.excess) < before.error / 2:
        return (
            f"{name} is overconfident in some bins and underconfident in others, with a "
            f"calibration error of {_percent(before.error)} (chance alone: up to "
            f"{_percent(calibration.chance)})."
        )
    if calibration.excess > 0:
        return (
            f"{name} is overconfident: {figures}. Networks that are trained on labels until they "
            "fit nearly all training images often are."
        )
    return f"{name} is underconfident: {figures}.{_explain_underconfidence(config)}"


def describe_temperature(calibration: Calibration) -> str:
    """Say what a temperature would change, and on which images it was fitted."""
    before, after = calibration.before.error, calibration.after.error
    temperature = f"{calibration.temperature:.2f}"
    if calibration.is_calibrated:
        text = (
            f"It needs no temperature: with the best one, {temperature}, the calibration error is "
            f"{_percent(after)}"
        )
    elif after < before:
        chance = ", which chance alone may cause" if after <= calibration.chance else ""
        text = (
            f"Its scores divided by a temperature of {temperature} lower the calibration error "
            f"from {_percent(before)} to {_percent(after)}{chance}"
        )
    else:
        text = (
            f"No temperature helps: with the best one, {temperature}, the calibration error is "
            f"{_percent(after)} instead of {_percent(before)}"
        )
    first, second = (f"{loss:.4f}" for loss in calibration.losses)
    changes = f"changes from {first} to {second}" if first != second else f"stays at {first}"
    text += f", and the mean loss {changes}. "
    text += "The predicted digits stay the same. "
    if calibration.halves is None:
        return (
            f"{text}The temperature was fitted on the run's {calibration.held_out:,} validation "
            "images."
        )
    one, other = calibration.halves
    return (
        f"{text}The run has no validation images, so the figures with a temperature come from "
        f"halves of these images: each half is measured with the temperature that was fitted on "
        f"the other ({one:.2f} and {other:.2f})."
    )


def _explain_underconfidence(config: RunConfig) -> str:
    """Say which settings keep probabilities low; "" without any."""
    causes = []
    if config.teachers and config.teacher_share:
        causes.append("the soft targets of its teacher")
    if config.label_smoothing and not (config.teachers and config.teacher_share == 1):
        causes.append(f"label smoothing of {config.label_smoothing:g}")
    if not causes:
        return ""
    return (
        f" It was trained with {' and '.join(causes)}: its targets are below 100 % even where the "
        "digit is clear."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f}\u00a0%"
