"""The brain tumour package, without data and with a network that knows nothing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from models.brain_tumour_mr import grid
from models.brain_tumour_mr.head import fit_head
from models.brain_tumour_mr.model import found, network, postprocess, preprocess
from models.brain_tumour_mr.network import ENOUGH, MOST, VIEWS, View, together
from models.brain_tumour_mr.task import HEALTHY, SLICES, TASK, TUMOUR
from models.brain_tumour_mr.train import add_head
from models.brain_tumour_mr.upright import upright_of
from models.kit.cases import Split
from models.kit.data.prepare import SPLIT, prepare
from models.kit.data.splits import write_split
from models.kit.explain.heat_map import heat_map
from models.kit.trained import explained
from models.kit.training.epoch import train_epoch
from models.kit.training.loop import new_bench
from models.kit.training.samples import Sample, read_samples
from models.kit.training.state import new_state
from models.kit.training.weights import save_weights
from node.domain.result import Outcome
from node.domain.study import Grid, SopRef, Volume
from node.errors import InvalidModelOutput, UnsupportedImage
from node.infer.registry import BUILT_IN, check_package

SPACING = (5.0, 1.25, 1.25)
SHAPE = (6, 160, 180)


def head(shape: tuple[int, int], lesion: bool = True) -> np.ndarray:
    """An ellipse with a bright spot in it, on air; values of 0..255."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]] / np.array(shape).reshape(2, 1, 1)
    picture = 90.0 * ((rows - 0.5) ** 2 / 0.2 + (columns - 0.5) ** 2 / 0.14 < 1)
    picture += np.random.default_rng(0).uniform(0, 8, shape)
    return np.where(lesion & ((rows - 0.6) ** 2 + (columns - 0.4) ** 2 < 0.006), 230.0, picture)


def volume(array: np.ndarray | None = None, spacing: tuple[float, float, float] = SPACING) -> Volume:
    array = np.stack([head(SHAPE[1:])] * SHAPE[0]) if array is None else array
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, spacing[2]], [0, spacing[1], 0], [spacing[0], 0, 0]])
    refs = tuple(SopRef("1.2.840.10008.5.1.4.1.1.4", f"2.25.{number}") for number in range(len(array)))
    return Volume(array.astype(np.float32), Grid(array.shape, affine, "2.25.9", refs), "MR")


def answer(where: np.ndarray, sure: float = 0.99) -> torch.Tensor:
    """Logits on the network's planes with the tumour at ``where`` (k, 192, 192)."""
    probability = torch.from_numpy(np.where(where, sure, 0.01)).float()
    return torch.stack((1 - probability, probability)).log()[None]


def data_folder(folder: Path) -> Path:
    """Eight slices with a tumour and four without, in the layout of the two sets."""
    (folder / TUMOUR).mkdir()
    (folder / HEALTHY).mkdir()
    lines = ["index,run,chunk,split"]
    for number in range(8):
        picture = np.roll(head((256, 256)), 6 * number, axis=1)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / TUMOUR / f"{number}.jpg", quality=95)
        Image.fromarray(((picture > 200) * 255).astype(np.uint8)).save(folder / TUMOUR / f"{number}_mask.png")
        lines.append(f"{number},{number},{number},train")
    for number in range(4):
        picture = np.roll(head((256, 256), lesion=False), 9 * number, axis=0)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / HEALTHY / f"{number:04d}.jpg")
    (folder / TUMOUR / "runs.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_the_package_is_whole() -> None:
    model = check_package(BUILT_IN / "brain_tumour_mr")
    assert model.selection.contrast_agent
    network().load_state_dict(
        {key: value.float() for key, value in load_file(model.folder + "/weights.safetensors").items()}
    )


def test_training_and_node_see_the_same(tmp_path: Path) -> None:
    picture = np.round(head((256, 256)))
    Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "one.png")
    trained_on = grid.from_picture(picture.astype(np.float32))
    millimetres = grid.FIELD_MM / 256
    on_the_node = preprocess(volume(np.stack([picture] * 5), (5.0, millimetres, millimetres)))
    assert on_the_node.shape == (1, 1, 5, grid.SIZE, grid.SIZE)
    assert np.allclose(on_the_node[0, 0, 2].numpy(), trained_on, atol=1e-4)


def test_the_plane_and_back_keep_place_and_size() -> None:
    given = volume()
    planned = grid.plan(SHAPE[1:], SPACING[1:])
    truth = np.stack([head(SHAPE[1:]) > 200] * SHAPE[0])
    there = grid.from_series(np.where(truth, 200.0, 100.0).astype(np.float32), planned)
    back = grid.to_series((there > there.mean()).astype(np.float32), planned) >= 0.5
    assert (back & truth).sum() * 2 / (back.sum() + truth.sum()) > 0.95
    assert given.shape == back.shape


def test_a_tumour_is_measured_on_the_input_grid() -> None:
    where = np.zeros((6, grid.SIZE, grid.SIZE), dtype=bool)
    where[2:5, 80:100, 90:120] = True
    result = postprocess(answer(where), volume())
    assert result.outcome is Outcome.POSITIVE
    volume_ml, longest_mm = (one.value for one in result.findings[0].measurements)
    assert volume_ml == pytest.approx(3 * 20 * 30 * grid.PIXEL_MM**2 * 5 / 1000, rel=0.03)
    assert longest_mm == pytest.approx(np.hypot(20, 30) * grid.PIXEL_MM, rel=0.03)
    assert result.segmentation is not None
    assert set(np.flatnonzero(result.segmentation.label_map.any(axis=(1, 2)))) == {2, 3, 4}


def test_the_longest_diameter_is_that_of_one_piece() -> None:
    where = np.zeros((6, grid.SIZE, grid.SIZE), dtype=bool)
    where[2:5, 60:80, 80:100] = where[2:5, 110:130, 80:110] = True
    result = postprocess(answer(where), volume())
    longest_mm = result.findings[0].measurements[1].value
    assert longest_mm == pytest.approx(np.hypot(20, 30) * grid.PIXEL_MM, rel=0.03)


def test_nothing_and_next_to_nothing_are_negative() -> None:
    nothing = np.zeros((6, grid.SIZE, grid.SIZE), dtype=bool)
    assert postprocess(answer(nothing), volume()).outcome is Outcome.NEGATIVE
    speck = nothing.copy()
    speck[2, 90:92, 90:92] = True
    assert postprocess(answer(speck), volume()).outcome is Outcome.NEGATIVE
    assert not found(np.zeros((2, 4, 4), np.float32), 1.0).any()


# Of slices across each of the patient's axes: where the picture's right and its down point (LPS).
SHOWN = {"axial": ((1, 0, 0), (0, 1, 0)), "coronal": ((1, 0, 0), (0, 0, -1)), "sagittal": ((0, 1, 0), (0, 0, -1))}


@pytest.mark.parametrize("plane", SHOWN)
@pytest.mark.parametrize("exchanged", [False, True])
@pytest.mark.parametrize("rows", [1, -1])
@pytest.mark.parametrize("columns", [1, -1])
def test_however_a_series_is_stored_its_slices_stand_upright(
    plane: str, exchanged: bool, rows: int, columns: int
) -> None:
    right, down = (np.array(axis, float) for axis in SHOWN[plane])
    shown = np.stack([head((150, 170))] * 5).astype(np.float32)
    stored = shown[:, ::rows, ::columns]
    along_rows, along_columns = down * rows, right * columns
    if exchanged:
        stored, along_rows, along_columns = stored.swapaxes(1, 2), along_columns, along_rows
    affine = np.eye(4)
    # A little oblique, as most series are.
    tilt = 0.2 * np.cross(right, down)
    affine[:3, :3] = np.stack([5.0 * np.cross(right, down), 1.25 * along_rows + tilt, 1.25 * along_columns], axis=1)
    upright = upright_of(affine)
    assert np.array_equal(upright.raised(stored), shown)
    assert np.array_equal(upright.laid_back(shown), stored)
    given = Volume(
        np.ascontiguousarray(stored), Grid(stored.shape, affine, "2.25.9", volume(stored).grid.sources), "MR"
    )
    bright = (preprocess(given) > 3)[0, 0].numpy()
    _, at_row, at_column = (axis.mean() for axis in np.nonzero(bright))
    assert (at_row > grid.SIZE / 2, at_column < grid.SIZE / 2) == (True, True), "the spot is below and to the left"
    result = postprocess(answer(bright), given)
    assert result.segmentation is not None
    truth = stored > 200
    found_there = result.segmentation.label_map > 0
    assert (truth & found_there).sum() * 2 / (truth.sum() + found_there.sum()) > 0.9


def test_an_answer_does_not_depend_on_the_side() -> None:
    torch.manual_seed(0)
    net = network().eval()
    picture = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        straight = net(picture).exp()
        mirrored = net(picture.flip(3)).exp()
        volume_of_two = net(torch.stack([picture[0], picture[0]], dim=1)[None])
    assert torch.allclose(straight.flip(3), mirrored, atol=1e-5)
    assert torch.allclose(volume_of_two[0, :, 1].exp(), straight[0], atol=1e-5)
    assert torch.allclose(straight.sum(dim=1), torch.ones(1, 32, 32), atol=1e-5)


def test_outline_and_head_decide_together() -> None:
    outline = [5.0, 1.0, -1.0]
    pixels = torch.tensor([[[outline]]]).repeat(4, 1, 1, 1)
    sure, enough, doubts, denies = MOST, ENOUGH - 5.0 + 1.0, ENOUGH - 5.0 - 1.0, -20.0
    found = together(pixels, torch.tensor([sure, enough, doubts, denies]))[:, 0, 0]
    assert torch.equal(found[:2] > 0, pixels[:2, 0, 0] > 0), "the outline of a slice that is believed stays"
    assert found[:, 0].tolist() == pytest.approx([5.0 + MOST - ENOUGH, 1.0, -1.0, 5.0 - 20.0 - ENOUGH])
    assert not (found[2:] > 0).any()


def test_the_head_draws_nothing_by_itself() -> None:
    pixels = torch.full((2, 1, 4, 4), -0.5)
    assert not (together(pixels, torch.tensor([100.0, 0.0])) > 0).any()
    weak = torch.full((1, 1, 4, 4), ENOUGH - MOST - 0.01)
    assert not (together(weak, torch.tensor([100.0])) > 0).any(), "however sure, it adds no more than MOST"


def test_the_surest_slice_speaks_for_a_series() -> None:
    torch.manual_seed(0)
    net = network().eval()
    pictures = torch.randn(3, 1, 32, 32)
    with torch.inference_mode():
        pixels, slices = net.said(pictures)
        series = net(pictures.movedim(0, 1)[None])[0]
        together_with_surest = together(pixels, slices.max().repeat(3))[:, 0]
    assert slices.min() < slices.max()
    assert torch.allclose(series[1] - series[0], together_with_surest, atol=1e-4)


def test_the_head_decides_whether_a_series_has_outlines() -> None:
    torch.manual_seed(0)
    net = network().eval()
    with torch.inference_mode():
        net.head.weight.zero_()
        pictures = torch.randn(1, 1, 3, 32, 32)
        pixels, _ = net.said(pictures[0].movedim(1, 0))
        belief = float(pixels.max())
        for head, drawn in ((ENOUGH - belief + 0.5, belief > 0), (ENOUGH - belief - 0.5, False)):
            net.head.bias.fill_(head)
            said = net(pictures)[0]
            assert bool((said[1] > said[0]).any()) is drawn


def test_a_negative_head_makes_a_volume_negative() -> None:
    where = np.zeros((6, grid.SIZE, grid.SIZE), dtype=bool)
    where[1:5, 80:100, 90:120] = True
    said = answer(where)[0]
    pixels = (said[1] - said[0])[:, None].float()
    for head, outcome in ((MOST, Outcome.POSITIVE), (-10.0, Outcome.NEGATIVE)):
        odds = together(pixels, torch.full((6,), head))
        logits = torch.nn.functional.logsigmoid(torch.cat((-odds, odds), dim=1)).movedim(0, 1)[None]
        assert postprocess(logits, volume()).outcome is outcome


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_and_back_keep_the_place(view: View) -> None:
    picture = torch.zeros(1, 1, grid.SIZE, grid.SIZE)
    picture[..., 70:90, 100:130] = 1.0
    seen = view.of(picture)
    assert max(abs(size - grid.SIZE * view.part * view.zoom) for size in seen.shape[2:]) <= 1
    back = view.back(seen, (grid.SIZE, grid.SIZE)) >= 0.5
    truth = picture >= 0.5
    assert (back & truth).sum() * 2 / (back.sum() + truth.sum()) > 0.97


def test_nothing_is_found_outside_of_the_views() -> None:
    torch.manual_seed(0)
    net = network().eval()
    with torch.inference_mode():
        odds, _ = net.said(torch.randn(1, 1, 64, 64))
    margin = math.floor(64 * (1 - max(view.part for view in VIEWS)) / 2)
    inside = odds[..., margin:-margin, margin:-margin]
    assert margin > 0
    assert bool((inside > -10).all())
    assert bool((odds[..., :margin, :] < -10).all())


def test_the_head_learns_what_the_network_sees() -> None:
    torch.manual_seed(0)
    net = network()
    spot = torch.zeros(64, 64, dtype=torch.uint8)
    spot[25:35, 25:35] = 1
    noise = 0.1 * torch.randn(8, 1, 64, 64)
    samples = [Sample(str(i), noise[i] + 4.0 * spot * (i % 2), i % 2, spot * (i % 2)) for i in range(8)]
    fit_head(net, samples, torch.device("cpu"))
    with torch.inference_mode():
        odds = net.eval().said(torch.stack([sample.image for sample in samples]))[1]
    assert odds[1::2].min() > odds[::2].max()
    with pytest.raises(ValueError, match="class"):
        fit_head(net, samples[::2], torch.device("cpu"))


def test_embeddings_are_one_vector_a_picture() -> None:
    vectors = network().eval().features(torch.randn(2, 1, 32, 32))
    assert vectors.shape == (2, 128)


def test_a_heat_map_is_on_the_picture() -> None:
    torch.manual_seed(0)
    evidence = heat_map(explained(TASK, network().eval()), torch.randn(1, 1, 64, 64), 1)
    assert evidence.shape == (64, 64)
    assert (evidence.min() >= 0, evidence.max()) == (True, 1)


def test_bad_input_is_refused() -> None:
    with pytest.raises(UnsupportedImage, match="whole heads"):
        preprocess(volume(np.ones((5, 40, 40))))
    with pytest.raises(UnsupportedImage, match="contrast"):
        preprocess(volume(np.zeros(SHAPE)))
    with pytest.raises(InvalidModelOutput, match="shape"):
        postprocess(torch.zeros(1, 2, 1, 8, 8), volume())
    broken = answer(np.zeros((6, grid.SIZE, grid.SIZE), dtype=bool))
    broken[0, 0, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidModelOutput, match="finite"):
        postprocess(broken, volume())


def test_a_short_training_lowers_the_loss(tmp_path: Path) -> None:
    listing = TASK.listing(data_folder(tmp_path))
    assert len(listing.cases) == 12
    assert {case.label for case in listing.cases} == {0, 1}
    samples, problems = read_samples(TASK, listing.cases[:6] + listing.cases[-2:])
    assert not problems
    settings = type(TASK.settings)(epochs=2, batch=2, learning_rate=3e-3, dropout=0.0)
    bench = new_bench(SLICES, settings, torch.device("cpu"), samples, ())
    state = new_state(SLICES, settings, torch.device("cpu"))
    losses = []
    for _ in range(2):
        losses.append(train_epoch(bench, state, lambda: None))
        state.history.append(None)  # type: ignore[arg-type]
    assert losses[1] < losses[0]


def test_the_head_is_added_to_trained_weights(tmp_path: Path) -> None:
    trained = network()
    save_weights(trained.slices, tmp_path / "slices.safetensors", "bf16")
    (tmp_path / "data").mkdir()
    out, data = tmp_path / "out", data_folder(tmp_path / "data")
    groups = frozenset(case.group for case in prepare(TASK, data, out).listing.cases)
    write_split(Split(groups, frozenset(), frozenset()), out / SPLIT)
    add_head(data, out, tmp_path / "slices.safetensors", torch.device("cpu"), 4)
    stored = load_file(out / "weights.safetensors")
    whole = network()
    whole.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
    name = "unet.stem.first.weight"
    assert torch.equal(whole.slices.state_dict()[name], trained.slices.state_dict()[name].bfloat16().float())
    assert bool(whole.head.weight.any())


def test_a_slice_without_mask_is_a_problem(tmp_path: Path) -> None:
    folder = data_folder(tmp_path)
    (folder / TUMOUR / "3_mask.png").unlink()
    problems = TASK.listing(folder).problems
    assert [(one.path, one.reason) for one in problems] == [(f"{TUMOUR}/3", "there is no mask")]
