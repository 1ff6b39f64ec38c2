"""The training loop: killed, diverging, out of memory, stopped early, and its checkpoints refused for a reason."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from chimp_assets.archive.storage.store import BlobStore
from chimp_assets.vision.learning.checkpoints import TrainingCheckpoints
from chimp_assets.vision.learning.training import Learner, TrainingPlan, train
from chimp_assets.vision.learning.unfinished import STATE_FILE
from chimp_assets.vision.models.checkpoint import ModelError, ModelFileError

CPU = torch.device("cpu")
PLAN = TrainingPlan(steps=30, batch=8, learning_rate=0.05, weight_decay=0.0, checkpoint_every=5, identity="labels 1")


class Lines(Learner):
    """Two classes of points in the plane; a batch normalisation, so that buffers have to be kept too."""

    def __init__(self, features: int = 2) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, features), nn.BatchNorm1d(features), nn.Linear(features, 2))

    def forward(self, points, target):
        logits = self.net(points)
        return nn.functional.cross_entropy(logits, target, reduction="none"), logits.argmax(1) == target


class Points(torch.utils.data.Dataset):
    """A batch for each step, a function of the step alone; those of `bad` steps hold a number that is none."""

    def __init__(self, bad=(), seen=None) -> None:
        self.bad, self.seen = set(bad), seen

    def __getitem__(self, step):
        if self.seen is not None:
            self.seen.append(step)
        points = torch.randn(8, 2, generator=torch.Generator().manual_seed(step))
        target = (points[:, 0] > 0).long()
        return (points * float("nan") if step in self.bad else points), target


def kept(store, key="training/embedder-1"):
    """The checkpoints of a training in a store, as another machine would open them."""
    return TrainingCheckpoints(BlobStore.open(str(store), create=True), key)


def learner(**settings):
    torch.manual_seed(0)
    return Lines(**settings)


def weights(one):
    return {name: tensor.clone() for name, tensor in one.state_dict().items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def undisturbed():
    one = learner()
    train(one, Points(), PLAN, CPU)
    return weights(one)


SCRIPT = """
import sys, torch
from chimp_assets.vision.learning.training import train
from chimp_assets_tests.vision.learning.test_training import CPU, PLAN, Points, kept, learner
import os, signal

class Deadly(Points):
    def __getitem__(self, step):
        if step == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(step)

one = learner()
train(one, Deadly(), PLAN, CPU, checkpoints=kept(sys.argv[1]))
torch.save(one.state_dict(), sys.argv[1] + "/end.pt")
"""


def test_a_training_killed_twice_ends_with_the_weights_of_one_that_was_not(tmp_path, undisturbed):
    """A moment, an average or a batch that is not restored bit for bit makes a model that nobody can make again."""
    for step in (13, 27):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path), str(step)],
            env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
            check=False,
        )
        assert done.returncode == -signal.SIGKILL
    seen = []
    one = learner()
    state = train(one, Points(seen=seen), PLAN, CPU, checkpoints=kept(tmp_path))
    assert min(seen) == 25  # went on, did not begin anew
    assert state.step == 30
    assert_equal(weights(one), undisturbed)


def test_a_training_that_had_ended_does_nothing_more(tmp_path, undisturbed):
    """A finished run that is started again must not train on from its end."""
    train(learner(), Points(), PLAN, CPU, checkpoints=kept(tmp_path))
    seen = []
    one = learner()
    train(one, Points(seen=seen), PLAN, CPU, checkpoints=kept(tmp_path))
    assert not seen
    assert_equal(weights(one), undisturbed)


def spoil_hash(folder):
    file = next(folder.glob("*.safetensors"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def newer(folder):
    line = json.loads((folder / STATE_FILE).read_text())
    (folder / STATE_FILE).write_text(json.dumps(line | {"format": 99}))


def lost(folder):
    next(folder.glob("*.safetensors")).unlink()


def garbled(folder):
    (folder / STATE_FILE).write_text("{")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_hash, "has changed since it was written"),
        (newer, "newer version"),
        (lost, "is missing"),
        (garbled, "does not describe"),
    ],
)
def test_a_checkpoint_that_cannot_be_trusted_is_refused_in_one_sentence(tmp_path, spoil, says):
    """Half a checkpoint, loaded, gives a model that looks trained."""
    train(learner(), Points(), PLAN, CPU, checkpoints=kept(tmp_path))
    spoil(tmp_path / "training" / "embedder-1")
    with pytest.raises(ModelFileError, match=says) as refused:
        train(learner(), Points(), PLAN, CPU, checkpoints=kept(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_checkpoint_of_another_shape_or_of_other_labels_is_refused(tmp_path):
    """Weights of another network, or learned from labels that were taken back since, must not be gone on from."""
    train(learner(), Points(), PLAN, CPU, checkpoints=kept(tmp_path))
    with pytest.raises(ModelFileError, match=r"does not fit.*size mismatch"):
        train(learner(features=3), Points(), PLAN, CPU, checkpoints=kept(tmp_path))
    other = TrainingPlan(**{**PLAN.__dict__, "identity": "labels 2"})
    with pytest.raises(ModelFileError, match="other labels or settings"):
        train(learner(), Points(), other, CPU, checkpoints=kept(tmp_path))


def test_a_loss_that_is_no_number_goes_back_with_a_lower_rate(caplog):
    """A single bad step turns all weights into NaN, which no later step heals."""

    class Once(Points):
        def __getitem__(self, step):
            points, target = super().__getitem__(step)
            if step == 17 and not self.seen.count(17) > 1:
                points = points * float("nan")
            return points, target

    one = learner()
    state = train(one, Once(seen=[]), PLAN, CPU)
    assert (state.step, state.rate, state.divergences) == (30, 0.5, 1)
    assert "not a number at step 17" in caplog.text
    assert all(torch.isfinite(tensor.float()).all() for tensor in weights(one).values())


def test_a_loss_that_stays_no_number_ends_with_a_sentence():
    """Halving the rate for ever would look like a training that takes long."""
    with pytest.raises(ModelError, match="The loss is not a number at step 3, at any of 5 learning rates"):
        train(learner(), Points(bad=[3]), PLAN, CPU)


class Narrow(Lines):
    """A network whose memory ends above `room` points at once."""

    room = 3

    def forward(self, points, target):
        if len(points) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(points, target)


def test_a_full_gpu_is_met_with_smaller_parts_of_the_same_batch():
    """Fewer crops a step would change what is learned; nothing at all would be worse."""
    torch.manual_seed(0)
    one = Narrow()
    state = train(one, Points(), PLAN, CPU)
    assert (state.step, state.part) == (30, 2)
    # Without batch statistics the parts' gradients add up to those of the whole.
    whole, parts = nn.Linear(2, 2), nn.Linear(2, 2)
    parts.load_state_dict(whole.state_dict())
    ends = []
    for layer, room in ((whole, 8), (parts, 3)):
        plain = Narrow()
        plain.net, plain.room = nn.Sequential(layer), room
        train(plain, Points(), PLAN, CPU)
        ends.append(layer.weight.detach())
    assert torch.allclose(ends[0], ends[1], atol=1e-5)


def test_a_gpu_without_room_for_two_crops_ends_with_a_sentence():
    """A loop that halves for ever never says what is wrong."""
    one = Narrow()
    one.room = 1
    with pytest.raises(ModelError, match="Not even 2 crops fit"):
        train(one, Points(), PLAN, CPU)


def test_it_stops_when_held_out_days_gain_no_more_and_keeps_the_best():
    """Past its best a network learns the training crops by heart."""
    values = iter([0.5, 0.9, 0.8, 0.7, 0.6, 0.5])
    kept = []
    one = learner()

    def validate():
        kept.append(weights(one))
        return next(values)

    plan = TrainingPlan(**{**PLAN.__dict__, "validate_every": 5, "patience": 2})
    state = train(one, Points(), plan, CPU, validate=validate)
    assert (state.step, state.best, state.best_step) == (20, 0.9, 10)
    assert "no gain on held-out days since step 10" in state.stopped
    assert_equal(weights(one), kept[1])


def test_a_budget_of_minutes_ends_it_with_what_it_has_learned():
    """A training without an end on a slow machine keeps its GPU from everybody, and one that ends must say how far."""
    plan = TrainingPlan(**{**PLAN.__dict__, "minutes": 1e-9})
    state = train(learner(), Points(), plan, CPU)
    assert state.step == 1
    assert "minutes was spent" in state.stopped
    assert [step for step, _, _ in state.history] == [1]


RANKS = """
import sys, torch
from chimp_assets.vision.learning.ranks import Ranks
from chimp_assets.vision.learning.training import process_group, train
from chimp_assets_tests.vision.learning.test_training import PLAN, Points, kept, learner
ranks = Ranks.of_environment()

class Share(Points):
    def __getitem__(self, step):
        return tuple(part[ranks.rank :: ranks.world] for part in super().__getitem__(step))

with process_group(ranks) as device:
    one = learner()
    one.net[1] = torch.nn.Identity()
    train(one, Share(), PLAN, device, checkpoints=kept(sys.argv[1]), ranks=ranks)
torch.save(one.state_dict(), f"{sys.argv[1]}/rank{ranks.rank}.pt")
"""


@pytest.mark.long
def test_two_processes_of_torchrun_learn_what_one_learns(tmp_path):
    """Ranks that drift apart, or that each write the checkpoint, spoil a training in silence."""
    (tmp_path / "two.py").write_text(RANKS)
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(tmp_path / "two.py"), str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True, capture_output=True,
    )  # fmt: skip
    alone = learner()
    alone.net[1] = nn.Identity()
    train(alone, Points(), PLAN, CPU)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert_equal(first, second)
    assert all(torch.allclose(first[name], tensor, atol=1e-5) for name, tensor in weights(alone).items())
    assert (tmp_path / "training" / "embedder-1" / STATE_FILE).exists()
