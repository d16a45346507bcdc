"""The network and its training: `python -m pytest training/tests` in training's environment."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.controls import MOUTH, VISEMES
from avatar.features import BANDS
from avatar.lipsync import LipSyncModel
from avatar.phones import PHONES
from training import train as training
from training.export import export
from training.network import SECOND_HIDDEN, LipSyncNet
from training.recipe import SMOKE
from training.weights import WeightsError, average_with, begin_with, exported_weights

ABOUT = {"name": "test", "version": "0", "thresholds": {"press": 0.5, "fv": 0.5}}


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """A few seconds of noise instead of speech, labelled at random, in the files of prepare."""
    rng = np.random.default_rng(0)
    rows = 600
    for engine in training.SOURCE_SHARE:
        for number in (0, 1):
            np.savez(
                tmp_path / f"{engine}-00-pass{number}.npz",
                mel=rng.normal(-6, 2, (2 * rows, BANDS)).astype(np.float16),
                mouth=rng.uniform(0, 1, (rows, len(MOUTH))).astype(np.float16),
                visemes=rng.integers(0, 15, rows).astype(np.int8),
                phones=rng.integers(0, 40, rows).astype(np.int8),
            )
    for kind in ("coloured", "clicks"):
        mel = rng.normal(-9, 1, (2000, BANDS)).astype(np.float16)
        np.savez(tmp_path / f"noise-{kind}.npz", mel=mel)
    return tmp_path


def test_the_exported_model_computes_the_same(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = LipSyncNet()
    network.shift("press", 1.0)
    mel = torch.randn(1, 60, BANDS)
    network.eval()
    with torch.no_grad():
        logits, visemes, phones, *_ = network(mel, *network.first_states(1))
    closed = torch.softmax(visemes, -1)[..., VISEMES.index("PP")]
    lips = torch.softmax(phones, -1)[..., [PHONES.index(phone) for phone in "pbm"]].sum(-1)
    press = MOUTH.index("press")
    logits[..., press] = (logits[..., press] + torch.logit(closed) + torch.logit(lips)) / 3
    path = tmp_path / "model.onnx"
    export(network, path, ABOUT, [1 / len(PHONES)] * len(PHONES), dict.fromkeys(PHONES, 0.07))
    model = LipSyncModel.load(path)
    states, rows, seen = model.first_states(), [], []
    for piece in np.split(mel[0].numpy(), [2, 8, 40]):
        heads, states = model.run(piece, states)
        rows.append(heads.mouth)
        seen.append(heads.phones)
    np.testing.assert_allclose(
        np.concatenate(seen), torch.log_softmax(phones, -1)[0].numpy(), atol=1e-3
    )
    expected = torch.sigmoid(logits)[0].numpy()
    # the weights are kept in half precision
    np.testing.assert_allclose(np.concatenate(rows), expected, atol=1e-3)


def _heard(network: LipSyncNet, mel: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        return list(network(mel, *network.first_states(len(mel)))[:3])


def test_training_and_streaming_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network, mel = LipSyncNet(), torch.randn(2, 40, BANDS)
    monkeypatch.setattr(network, "_dropped", lambda x, share: x)
    for trained, streamed in zip(
        _heard(network.train(), mel), _heard(network.eval(), mel), strict=True
    ):
        torch.testing.assert_close(trained, streamed, atol=1e-5, rtol=1e-4)


def test_a_model_is_gone_on_from(tmp_path: Path) -> None:
    torch.manual_seed(5)
    network, other, mel = LipSyncNet(), LipSyncNet().eval(), torch.randn(1, 40, BANDS)
    network.mean[:] = torch.randn(BANDS)
    for parameter in network.parameters():  # the exporter makes one of two that are the same
        parameter.data += 0.05 * torch.randn(parameter.shape)
    path = tmp_path / "model.onnx"
    export(network, path, ABOUT, [1 / len(PHONES)] * len(PHONES), dict.fromkeys(PHONES, 0.07))
    begin_with(other, exported_weights(path))
    for first, second in zip(_heard(network, mel), _heard(other, mel), strict=True):
        torch.testing.assert_close(first, second, atol=5e-3, rtol=1e-2)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, atol=1e-4, rtol=1e-3)


def test_what_a_larger_network_has_more_says_nothing_at_first() -> None:
    weights = {
        name: value
        for name, value in LipSyncNet().state_dict().items()
        if not name.startswith(("recall", "blocks.5", "norms.5"))
    }
    remembered = weights["merge.weight"].shape[1] - SECOND_HIDDEN
    weights["merge.weight"] = weights["merge.weight"][:100, :remembered]
    weights["merge.bias"] = weights["merge.bias"][:100]
    for head in ("mouth", "visemes", "phones"):
        weights[f"{head}.weight"] = weights[f"{head}.weight"][:, :100]
    mel, grown = torch.randn(1, 40, BANDS), [LipSyncNet().eval(), LipSyncNet().eval()]
    for network in grown:
        begin_with(network, weights)
    for first, second in zip(*(_heard(network, mel) for network in grown), strict=True):
        torch.testing.assert_close(first, second)
    with pytest.raises(WeightsError, match=r"no mouth\.bias"):
        begin_with(grown[0], {"mouth.bias": torch.zeros(1000)})


def test_two_models_have_a_mean() -> None:
    one, other = LipSyncNet(), LipSyncNet()
    wanted = 0.5 * (one.merge.weight + other.merge.weight).detach()
    average_with(one, other.state_dict())
    torch.testing.assert_close(one.merge.weight, wanted)
    smaller = {name: value[:1] for name, value in other.state_dict().items()}
    with pytest.raises(WeightsError, match="same size"):
        average_with(one, smaller)


def test_a_file_of_another_kind_is_refused() -> None:
    path = Path(__file__).parents[2] / "tests" / "data" / "window.onnx"
    with pytest.raises(WeightsError, match=r"training\.export"):
        exported_weights(path)


def test_training_continues_where_it_stopped(features: Path, tmp_path: Path) -> None:
    training.train(features, tmp_path / "run", SMOKE, seed=1, steps=2)
    resumed = training.train(features, tmp_path / "run", SMOKE, seed=1, steps=3)
    again = training.train(features, tmp_path / "run", SMOKE, seed=1, steps=3)
    at_once = training.train(features, tmp_path / "other", SMOKE, seed=1, steps=3)
    for first, second in zip(resumed.parameters(), at_once.parameters(), strict=True):
        torch.testing.assert_close(first, second)
    for first, second in zip(resumed.parameters(), again.parameters(), strict=True):
        assert torch.equal(first, second)
    saved = torch.load(tmp_path / "run" / "checkpoint.pt")
    assert saved["step"] == 3
