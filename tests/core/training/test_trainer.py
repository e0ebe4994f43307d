"""The trainer on synthetic digits: it learns, is reproducible, and resumes exactly."""

from __future__ import annotations

import io

import pytest
import torch

from core.config import FIELDS, OPTIMIZERS, SCHEDULES, RunConfig
from core.data import dataset
from core.errors import ConfigError, RunError
from core.models.network import load_weights
from core.recipes import RECIPES
from core.training.evaluation import evaluate
from core.training.results import BatchResult, EpochResult, TestResult
from core.training.schedules import epoch_rates
from core.training.trainer import Diverged, Training, fit
from tests.networks import build_model

ROWS = (
    {"kind": "conv", "channels": 4, "kernel": 3, "stride": 2, "norm": "batch"},
    {"kind": "dropout"},
    {"kind": "conv", "channels": 8, "kernel": 3, "stride": 2, "norm": "batch"},
    {"kind": "global_avgpool"},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
SMALL = RunConfig(
    architecture="small",
    layers=ROWS,
    lr=0.1,
    max_lr=0.3,
    batch_size=50,
    epochs=3,
    dropout=0.1,
    device="cpu",
    precision="fp32",
    threads=1,
)
AVERAGED = {
    "augmentation": "final",
    "ema_decay": 0.9,
    "schedule": "original-one-cycle",
    "weight_decay": 1e-4,
}


def without_seconds(row: EpochResult) -> dict:
    return {**row.to_dict(), "seconds": 0}


def save_and_load(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def finish(config, digits):
    training = Training(config, digits)
    rows = [without_seconds(result) for result in training.run() if isinstance(result, EpochResult)]
    return training, rows


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns(digits):
    rows = list(fit(SMALL.changed(epochs=6, batch_size=20, dropout=0.0), digits))
    assert [row.epoch for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1].train_loss < rows[0].train_loss / 2
    assert rows[-1].val_accuracy > 50
    assert all(row.train_total == 600 and row.val_total == 200 for row in rows)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains(name):
    config = RECIPES[name].config.changed(epochs=1, batch_size=20, device="cpu", threads=1)
    teacher = None if config.teacher == "none" else build_model(RECIPES[config.teacher].config)
    (row,) = fit(config, dataset.synthetic(train=60, test=20), teacher)
    assert row.lr == epoch_rates(config, 3)[0]
    assert row.train_loss > 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(name, digits):
    rate = {"sgd": 0.1, "adadelta": 1.0}.get(name, 0.01)
    rows = list(
        fit(
            SMALL.changed(
                optimizer=name,
                lr=rate,
                schedule="constant",
                nesterov=True,
                clip_norm=5.0,
                label_smoothing=0.1,
            ),
            digits,
        )
    )
    assert rows[-1].train_loss < rows[0].train_loss


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_reported_rate_is_the_optimizers(name, digits):
    training = Training(SMALL.changed(schedule=name, epochs=2), digits)
    for result in training.run():
        if isinstance(result, BatchResult):
            assert training.optimizer.param_groups[0]["lr"] == result.lr


def test_equal_configs_give_equal_tables_and_other_seeds_others(digits):
    first, rows = finish(SMALL.changed(**AVERAGED), digits)
    second, again = finish(SMALL.changed(**AVERAGED), digits)
    assert rows == again
    assert same(first.weights(), second.weights())
    assert finish(SMALL.changed(**AVERAGED, seed=2), digits)[1] != rows


@pytest.mark.parametrize(
    "changes",
    [
        {},
        AVERAGED,
        {"optimizer": "adamw", "lr": 0.01, "holdout": 100},
        {"optimizer": "adadelta", "schedule": "exponential", "lr": 1.0},
        {"optimizer": "muon", "ema_decay": 0.9, "weight_decay": 0.01},
    ],
    ids=["plain", "averaged", "adamw", "adadelta", "muon"],
)
@pytest.mark.parametrize("stops", [[0], [1], [11, 12], [12, 13, 14], [5, 19, 20, 29]])
def test_a_resumed_run_ends_as_an_uninterrupted_one(changes, stops, digits):
    config = SMALL.changed(**changes)
    whole, rows = finish(config, digits)
    table: list[dict] = []
    state, done = None, 0
    for stop in [*stops, None]:
        torch.manual_seed(1234)  # another process has other random numbers
        training = Training(config, digits, state)
        results = training.run()
        if stop == 0:
            state = save_and_load(training.state_dict())
            continue
        for result in results:
            if isinstance(result, EpochResult):
                table.append(without_seconds(result))
            if isinstance(result, BatchResult):
                done += 1
                if done == stop:
                    state = save_and_load(training.state_dict())
                    break
        results.close()
    assert table == rows
    assert same(whole.weights(), training.weights())
    assert training.finished


def test_a_state_saved_after_an_epoch_resumes_with_the_next(digits):
    whole, rows = finish(SMALL, digits)
    training = Training(SMALL, digits)
    results = training.run()
    first = next(result for result in results if isinstance(result, EpochResult))
    state = save_and_load(training.state_dict())
    results.close()
    resumed = Training(SMALL, digits, state)
    rest = [without_seconds(result) for result in resumed.run() if isinstance(result, EpochResult)]
    assert [without_seconds(first), *rest] == rows
    assert same(whole.weights(), resumed.weights())


def test_a_hold_out_is_validated_on_and_the_test_images_are_evaluated_once(digits):
    training = Training(SMALL.changed(holdout=100), digits)
    results = [result for result in training.run() if not isinstance(result, BatchResult)]
    assert [type(result) for result in results] == [EpochResult] * 3 + [TestResult]
    assert results[0].val_total == 100
    assert results[0].train_total == 500
    assert results[-1].total == 200
    assert training.runtime.validated_on == "hold-out"


def test_the_averaged_weights_are_validated(digits):
    training, rows = finish(SMALL.changed(ema_decay=0.9), digits)
    model = build_model(SMALL)
    model.load_state_dict(training.weights())
    loss, correct = evaluate(model, digits.test.images, digits.test.labels, torch.device("cpu"))
    assert (rows[-1]["val_loss"], rows[-1]["val_correct"]) == (pytest.approx(loss), correct)
    assert not same(training.weights(), dict(training.model.state_dict()))


def test_an_infinite_loss_ends_the_run_as_diverged(digits):
    training = Training(
        SMALL.changed(
            lr=10.0,
            max_lr=10.0,
            schedule="constant",
            optimizer="sgd",
            weight_decay=1.0,
            momentum=0.999,
            layers=[row for row in ROWS if row["kind"] != "dropout"][2:],
        ),
        digits,
    )
    training.model.layers[-1].weight.data.fill_(float("inf"))
    with pytest.raises(Diverged, match="epoch 1, step 1; try a lower learning rate"):
        list(training.run())


def test_the_rate_can_be_scaled_and_the_state_keeps_the_factor(digits):
    training = Training(SMALL.changed(schedule="constant"), digits)
    results = training.run()
    assert next(results).lr == 0.1
    training.scale_rate(0.5)
    assert next(results).lr == 0.05
    resumed = Training(
        SMALL.changed(schedule="constant"), digits, save_and_load(training.state_dict())
    )
    results.close()
    assert next(resumed.run()).lr == 0.05


def test_the_table_has_the_rate_of_the_epochs_first_step(digits):
    training = Training(SMALL.changed(schedule="constant"), digits)
    rows = []
    for result in training.run():
        if isinstance(result, BatchResult) and (result.epoch, result.step) == (1, 5):
            training.scale_rate(0.5)
        if isinstance(result, EpochResult):
            rows.append(result.lr)
    assert rows == [0.1, 0.05, 0.05]


def test_reported_loss_is_the_nll_even_with_smoothing(digits):
    config = SMALL.changed(epochs=1, batch_size=600, label_smoothing=0.5, dropout=0.0)
    (row,) = fit(config, digits)
    (plain,) = fit(config.changed(label_smoothing=0.0), digits)
    assert row.train_loss == pytest.approx(plain.train_loss, rel=1e-6)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda state: state.pop("random"), "does not fit this run"),
        (lambda state: state.update(format=99), "format 99"),
        (lambda state: state["model"].popitem(), "belong to another network"),
        (lambda state: state.update(epoch=7), "outside this run"),
        (lambda state: state["optimizer"]["param_groups"].pop(), "does not fit this run"),
        (
            lambda state: state["model"].update({"layers.0.weight": torch.zeros(3)}),
            "layers.0.weight should have shape",
        ),
        (lambda state: state["model"]["layers.0.weight"].fill_(float("nan")), "NaN"),
    ],
)
def test_a_damaged_state_is_refused(damage, words, digits):
    state = save_and_load(Training(SMALL, digits).state_dict())
    damage(state)
    with pytest.raises(RunError, match=words):
        Training(SMALL, digits, state)


def test_weights_of_another_network_are_refused():
    with pytest.raises(RunError, match="another network"):
        load_weights(build_model(SMALL), build_model(RunConfig()).state_dict())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has cuda")
def test_a_missing_device_is_named(digits):
    with pytest.raises(ConfigError, match="auto or cpu"):
        Training(SMALL.changed(device="cuda"), digits)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has cuda")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_that_began_on_cuda_continues_on_the_cpu(optimizer, digits):
    config = SMALL.changed(optimizer=optimizer, device="auto", lr=0.01, max_lr=0.01)
    first = Training(config, digits)
    results = first.run()
    for _ in range(15):
        next(results)
    state = save_and_load(first.state_dict())
    results.close()
    for group in state["optimizer"]["param_groups"]:
        group |= {name: True for name in ("capturable",) if name in group}
    state["random"]["cuda"] = torch.zeros(16, dtype=torch.uint8)
    runtime = first.runtime.changed(device="cuda", device_name="H100", layout="channels_last")
    second = Training(config, digits, state, runtime)
    assert second.runtime.device == "cpu"
    assert "H100" in second.notice
    rows = [result for result in second.run() if isinstance(result, EpochResult)]
    assert [row.epoch for row in rows] == [2, 3]
    assert Training(config, digits, state, first.runtime).notice == ""


def test_bf16_learns_too(digits):
    rows = list(fit(SMALL.changed(precision="bf16"), digits))
    assert rows[-1].train_loss < rows[0].train_loss


def test_evaluation_changes_neither_mode_nor_statistics(digits):
    model = build_model(SMALL).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, digits.test.images, digits.test.labels, torch.device("cpu"))
    assert model.training
    assert same(before, dict(model.state_dict()))


def test_the_config_fields_are_all_used_or_described():
    assert set(FIELDS) == set(RunConfig().to_dict())
