"""What holds for every registered adversary; a new file in the room is tested by being there."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from emrobust import config, registry
from emrobust.errors import ConfigError
from emrobust.models.network import Network
from emrobust.train import adversaries, batches, build, estimators, loop, losses, mixup, pace
from emrobust.train.adversaries import geometry
from emrobust.train.adversaries.divergence import divergence, symmetric
from emrobust.train.adversaries.passes import Passes
from emrobust.train.steps import Evaluate, clean_step

NAMES = list(registry.names("adversary"))
NETWORKS = ("textcnn", "transformer")
PERTURBING = [n for n in NAMES if adversaries.make({"name": n}).bound is not None]
LABEL_FREE = ("vat", "smart")
TEXTS = ["咳嗽三天", "腹痛两天", "发热一天", "咳嗽伴发热"]
TARGETS = {"multi": np.eye(4, 2) + np.eye(4, 2, -2), "single": ["a", "b", "a", "b"]}
# Every text is attacked, so that what holds for a text can be seen on each.
WHOLE = {"partial_fgm": {"share": 1.0}}


def make(name: str, **settings):
    return adversaries.make({"name": name, "warmup_steps": 0, **WHOLE.get(name, {}), **settings})


@dataclass
class Pass:
    """One call of `Evaluate.logits`: δ, its dropout, and what came back from the loss."""

    evaluate: Evaluate
    delta: torch.Tensor
    draw: int
    logits: torch.Tensor
    attached: bool
    upstream: list[torch.Tensor] = field(default_factory=list)

    def again(self) -> torch.Tensor:
        """Its logits, computed anew from the table."""
        table = self.evaluate.embed() if self.attached else self.evaluate.embed().detach()
        return Evaluate.logits(self.evaluate, table + self.delta, self.draw)


@dataclass(frozen=True)
class Recorder(Evaluate):
    """The real thing, and a list of what it was asked."""

    passes: list[Pass] = field(default_factory=list)

    def logits(self, embeddings=None, draw=0):
        logits = super().logits(embeddings, draw)
        with torch.no_grad():
            table = self.embed()
            delta = torch.zeros_like(table) if embeddings is None else embeddings.detach() - table
        attached = embeddings is None or embeddings.requires_grad
        seen = Pass(replace(self, passes=[]), delta, draw, logits.detach(), attached)
        self.passes.append(seen)
        if any(p.requires_grad for p in self.network.parameters()) and logits.requires_grad:
            logits.register_hook(lambda gradient: seen.upstream.append(gradient.clone()))
        return logits

    @property
    def trained(self) -> list[Pass]:
        """Those that gave gradients to the parameters."""
        return [seen for seen in self.passes if seen.upstream]


@pytest.fixture(scope="module")
def networks(easy, bert) -> dict[str, Network]:
    made = {}
    for name in NETWORKS:
        own = {"checkpoint": str(bert)} if name == "transformer" else {"width": 16, "filters": 8}
        settings = registry.settings("model", name, own)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            made[name] = registry.get("model", name).new(easy(50)[0], 4, settings)
            torch.nn.init.normal_(made[name].head.weight, std=0.3)
    return made


@pytest.fixture(params=NETWORKS)
def network(request, networks) -> Network:
    networks[request.param].zero_grad()
    return networks[request.param].train()


def record(network: Network, easy, rows: int = 5, task: losses.Task = "multi") -> Recorder:
    texts, _, matrix = easy(rows, seed=3)
    ids, mask = batches.pad(batches.pack(network.encode(texts, 40)), np.arange(rows), network.pad)
    assert not mask.all()
    targets = torch.from_numpy(matrix.astype(np.float32))
    if task == "single":
        targets = targets / targets.sum(1, keepdim=True)
    batch = batches.Batch(ids, mask, targets)
    return Recorder(network, batch, losses.make(task), seed=7, step=5, steps=100)


def run(name: str, network: Network, evaluate: Recorder, **settings) -> torch.Tensor:
    return make(name, **settings)(network, evaluate.batch, evaluate)


def gradients(network: Network) -> dict[str, torch.Tensor]:
    """A copy of all of them; the network has none afterwards."""
    found = {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    return found


def table_of(network: Network) -> str:
    """Name of the embedding table."""
    names = ("embedding.weight", "encoder.embeddings.word_embeddings.weight")
    return next(name for name in names if name in network.state_dict())


def assert_equal_gradients(given, expected) -> None:
    assert given.keys() == expected.keys()
    scale = max(float(g.abs().max()) for g in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(given[name], gradient, atol=2e-6 * scale, rtol=1e-4, msg=name)


@pytest.mark.parametrize("task", ["multi", "single"])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_accumulate_over_the_training_passes(name, task, network, easy):
    evaluate = record(network, easy, task=task)
    run(name, network, evaluate)
    given = gradients(network)
    assert {seen.draw for seen in evaluate.passes} == ({0, 1} if name == "rdrop" else {0})
    for seen in evaluate.trained:
        logits = seen.again()
        torch.testing.assert_close(logits.detach(), seen.logits)
        logits.backward(seen.upstream[0])
    assert_equal_gradients(given, gradients(network))


@pytest.mark.parametrize("name", [n for n in PERTURBING if n not in LABEL_FREE])
def test_the_passes_weigh_one_together(name, network, easy):
    evaluate = record(network, easy)
    loss = run(name, network, evaluate)
    weights, total = [], 0.0
    for seen in evaluate.trained:
        logits = seen.logits.clone().requires_grad_()
        of_pass = seen.evaluate.judge(logits)
        of_pass.backward()
        ratio = seen.upstream[0].norm() / logits.grad.norm()
        torch.testing.assert_close(seen.upstream[0], ratio * logits.grad)
        weights.append(float(ratio))
        total += float(ratio * of_pass.detach())
    assert sum(weights) == pytest.approx(1, rel=1e-5)
    assert float(loss) == pytest.approx(total, rel=1e-5)
    if name in {"freelb", "freelb_pp"}:
        assert len(weights) == make(name).steps
        assert weights == pytest.approx([1 / len(weights)] * len(weights), rel=1e-5)


@pytest.mark.parametrize("name", PERTURBING)
def test_without_a_perturbation_it_is_a_clean_step(name, network, easy):
    still = {"epsilon": 1e-12}
    if name in {"freelb", "freelb_pp"}:
        still = {"magnitude": 0.0, "step_size": 1e-12}
        still |= {"steps": 1} if name == "freelb" else {}
    evaluate = record(network, easy)
    expected_loss = clean_step(network, evaluate.batch, evaluate)
    expected = gradients(network)
    if name == "freelb_as_written":  # its second pass is cut off from the table
        expected[table_of(network)] /= 2
    loss = run(name, network, evaluate, **still)
    assert float(loss) == pytest.approx(float(expected_loss), rel=1e-5)
    assert_equal_gradients(gradients(network), expected)


@pytest.mark.parametrize("name", ["freelb", "pgd"])
def test_ascents_are_half_of_epsilon_unless_they_are_given(name):
    assert make(name, epsilon=0.4).step_size == pytest.approx(0.2)
    assert make(name, epsilon=0.4, step_size=0.3).step_size == 0.3


@pytest.mark.parametrize("name", PERTURBING)
def test_perturbations_keep_their_bound_and_leave_padding_alone(name, network, easy):
    evaluate = record(network, easy)
    run(name, network, evaluate)
    norm, radius = make(name).bound
    deltas = [seen.delta for seen in evaluate.passes]
    assert any(delta.any() for delta in deltas)
    for delta in deltas:
        sizes = geometry.lengths(delta) if norm == "l2" else delta.abs()
        assert sizes.max() <= radius * (1 + 1e-5) + 5e-8  # what adding it to the table rounds off
        assert not delta[~evaluate.batch.mask].any()
    assert evaluate.notes.means()["perturbation"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_table_learns_and_no_weight_moves(name, network, easy):
    before = {n: (p.data_ptr(), p.detach().clone()) for n, p in network.named_parameters()}
    evaluate = record(network, easy)
    run(name, network, evaluate)
    run(name, network, evaluate)
    for weight_name, parameter in network.named_parameters():
        place, value = before[weight_name]
        assert parameter.data_ptr() == place
        assert torch.equal(parameter, value)
        assert parameter.requires_grad
    table = network.get_parameter(table_of(network))
    read = torch.zeros(len(table), dtype=torch.bool)
    read[evaluate.batch.ids[evaluate.batch.mask]] = True
    gradient = table.grad.abs().sum(1)
    assert (gradient[read] > 0).any()
    assert not gradient[~read].any()


@pytest.mark.parametrize("name", PERTURBING)
def test_a_texts_perturbation_does_not_depend_on_the_batch_size(name, network, easy):
    network.eval()
    many = record(network, easy, rows=6)
    alone = replace(many, batch=batches.Batch(*(t[:1] for t in many.batch)), passes=[])
    for evaluate in (many, alone):
        run(name, network, evaluate)
    together, single = (e.passes[-1].delta[0] for e in (many, alone))
    assert float(single.norm()) > 0
    cosine = torch.cosine_similarity(together.flatten(), single.flatten(), dim=0)
    assert float(cosine) > 0.999
    assert float(together.norm()) == pytest.approx(float(single.norm()), rel=1e-3)


@pytest.mark.parametrize("name", [n for n in PERTURBING if n != "random_noise"])
def test_the_ascent_climbs_further_than_chance(name, network, easy):
    network.eval()
    evaluate = record(network, easy)
    run(name, network, evaluate)
    delta = max((seen.delta for seen in evaluate.passes), key=lambda d: float(d.norm()))
    width = delta.shape[2]
    drawn = geometry.gaussian(evaluate.batch.mask, width, torch.Generator().manual_seed(1))
    chance = geometry.lengths(delta) * geometry.directions(drawn)
    plain, risen, random = (
        Evaluate.logits(evaluate, evaluate.embed() + d).detach() for d in (0, delta, chance)
    )
    if name in LABEL_FREE:
        risen, random = (divergence(plain, near, exclusive=False) for near in (risen, random))
        assert risen > 1.5 * random > 0
    else:
        plain, risen, random = map(evaluate.judge, (plain, risen, random))
        assert risen > plain
        assert risen - plain > 3 * (random - plain)
        assert evaluate.notes.means()["loss_gain"] > 0


def test_an_ascent_computes_no_gradients_for_parameters(network, easy):
    evaluate = record(network, easy)
    passes = Passes(network, evaluate)
    value, gradient = passes.ascend()
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    trained_value, trained = passes.train(1.0)
    assert torch.equal(value, trained_value)
    torch.testing.assert_close(gradient, trained)


def test_vat_smart_and_rdrop_are_their_formulas(network, easy):
    evaluate = record(network, easy)

    def expect(name, settings, formula):
        evaluate.passes.clear()
        loss = run(name, network, evaluate, **settings)
        given = gradients(network)
        expected = formula(evaluate.trained)
        assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-5)
        expected.backward()
        assert_equal_gradients(given, gradients(network))

    def vat(passes):
        told, near = map(Pass.again, passes)
        return evaluate.judge(told) + 0.7 * divergence(told.detach(), near, exclusive=False)

    def smart(passes):  # at its first step the average is the network itself
        told, near = map(Pass.again, passes)
        return evaluate.judge(told) + 2 * symmetric(told, near, exclusive=False)

    def rdrop(passes):
        one, two = map(Pass.again, passes)
        mean = (evaluate.judge(one) + evaluate.judge(two)) / 2
        return mean + 3 * symmetric(one, two, exclusive=False) / 2

    expect("vat", {"weight": 0.7}, vat)
    expect("smart", {"smoothness": 2.0}, smart)
    expect("rdrop", {"weight": 3.0}, rdrop)


def test_smart_holds_the_weights_near_their_average(networks, easy):
    network = networks["textcnn"].eval()
    evaluate = record(network, easy)
    smart = make("smart", smoothness=0.0, momentum=0.5)
    first = smart(network, evaluate.batch, evaluate)
    assert float(first) == pytest.approx(float(evaluate().detach()), rel=1e-5)
    network.head.bias.data += 1
    second = smart(network, evaluate.batch, replace(evaluate, step=1))
    torch.testing.assert_close(smart.state()["head.bias"], network.head.bias.detach() - 0.5)
    assert float(second) > float(evaluate().detach()) + 0.01
    network.head.bias.data -= 1


def test_divergences_of_known_distributions():
    # One label at 1/2 against 1/4, and one that agrees: the mean of KL = ½ln2 + ½ln(2/3) and 0.
    first = torch.tensor([[0.0, 2.0]])
    second = torch.tensor([[-1.0986123, 2.0]])
    assert float(divergence(first, second, exclusive=False)) == pytest.approx(0.0719205, abs=1e-6)
    # Classes at (1/2, 1/2) against (1/4, 3/4), one way and both ways.
    first, second = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0986123]])
    assert float(divergence(first, second, exclusive=True)) == pytest.approx(0.1438410, abs=1e-6)
    assert float(symmetric(first, second, exclusive=True)) == pytest.approx(0.2746531, abs=1e-6)


def test_small_gradients_have_a_direction_and_none_has_none():
    vectors = torch.zeros(3, 2, 4)
    vectors[0], vectors[1] = 3.0, 1e-25
    sizes = geometry.lengths(geometry.directions(vectors)).flatten()
    torch.testing.assert_close(sizes, torch.tensor([1.0, 1.0, 0.0]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("warmup", [6, 100])
def test_it_begins_after_its_warm_up_at_most_a_third_of_the_steps(name, warmup, networks, easy):
    network = networks["textcnn"].train()
    adversary = adversaries.make({"name": name, "warmup_steps": warmup})
    evaluate = replace(record(network, easy), step=5, steps=18)
    early = adversary(network, evaluate.batch, evaluate)
    assert len(evaluate.passes) == 1
    assert float(early) == float(evaluate().detach())
    evaluate.passes.clear()
    adversary(network, evaluate.batch, replace(evaluate, step=6))
    assert len(evaluate.passes) > 1


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_goes_on_after_a_stop_and_takes_mixed_texts(name, easy, monkeypatch, tmp_path):
    # A checkpoint after every batch where there is most to keep, elsewhere after every epoch.
    monkeypatch.setattr(pace, "_WRITING_SHARE", 0)
    pause = 1e-9 if name == "smart" else 1e9
    texts, _, matrix = easy(48)
    settings = config.Train(epochs=2, batch_size=8, checkpoint_seconds=pause)

    def train(folder, stop):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            own = registry.settings("model", "textcnn", {"width": 8, "filters": 4})
            network = registry.get("model", "textcnn").new(texts, 4, own)
        data = loop.Data(batches.pack(network.encode(texts, 40)), matrix)
        inner = adversaries.make({"name": name, "warmup_steps": 2})

        class Stopping(mixup.MixUp):
            def __call__(self, network, batch, evaluate):
                if evaluate.step == stop:
                    raise KeyboardInterrupt
                return super().__call__(network, batch, evaluate)

        step = Stopping(inner, chooses=lambda number: number % 3 == 0)
        history = loop.train(
            network, data, settings, loss=losses.make("multi"), seed=1, step=step, folder=folder
        )
        return network.state_dict(), history

    whole, history = train(tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", 9)
    weights, again = train(tmp_path / "broken", None)
    assert all(torch.equal(weights[key], value) for key, value in whole.items())
    assert history[0]["adversary_seconds"] > 0
    assert history[0]["mixed"] == pytest.approx(1 / 3)
    timed = ("seconds", "tokens_per_second", "adversary_seconds")
    for row, other in zip(history, again, strict=True):
        assert {k: v for k, v in row.items() if k not in timed} == {
            k: v for k, v in other.items() if k not in timed
        }


def test_steps_without_a_number_are_skipped_and_counted(networks, easy):
    texts, _, matrix = easy(64)
    network = networks["textcnn"]
    data = loop.Data(batches.pack(network.encode(texts, 40)), matrix)
    weights = []

    def sometimes(network, batch, evaluate):
        weights.append(network.head.weight.detach().clone())
        loss = evaluate() * (float("nan") if evaluate.step in {2, 3, 9} else 1)
        loss.backward()
        return loss.detach()

    history = loop.train(
        network, data, config.Train(epochs=2, batch_size=8), loss=losses.make("multi"), seed=0,
        step=sometimes,
    )  # fmt: skip
    assert [row["skipped_steps"] for row in history] == [2, 1]
    assert all(np.isfinite(row["loss"]) for row in history)
    same = [torch.equal(a, b) for a, b in itertools.pairwise(weights)]
    assert [step for step, unchanged in enumerate(same) if unchanged] == [2, 3, 9]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "freelb", "epsilon": 0.0}, "adversary.epsilon"),
        ({"name": "freelb", "epsilon": -1}, "adversary.epsilon"),
        ({"name": "fgm", "alpha": 1.5}, "adversary.alpha"),
        ({"name": "pgd", "alpha": 0}, "adversary.alpha"),
        ({"name": "freelb", "steps": 0}, "adversary.steps"),
        ({"name": "freelb", "epsilonn": 1}, "Did you mean `epsilon`"),
        ({"name": "frelb"}, "Did you mean `freelb`"),
    ],
)
def test_wrong_settings_are_named(given, says):
    with pytest.raises(ConfigError, match=says):
        adversaries.make(given)


def test_a_project_names_its_adversary_and_tfidf_can_have_none(bert):
    source = {"path": "t.csv", "columns": {"record_id": "id", "text": ["t"]}}
    values = {"source": source, "train": {"adversary": "freelb", "loss": {"name": "focal"}}}
    model = build(config.parse({**values, "model": {"name": "textcnn"}}), ["a", "b"])
    assert model.adversary == {"name": "freelb"}
    assert model.loss == {"name": "focal"}
    again = config.parse(config.parse({**values, "model": {"name": "textcnn"}}).public())
    assert again.train.adversary.settings() == {}
    with pytest.raises(ConfigError, match="perturbs word embeddings"):
        build(config.parse({**values, "model": {"name": "tfidf"}}), ["a", "b"])
    wrong = {"name": "fgm", "epsilon": -1}
    with pytest.raises(ConfigError, match=r"adversary\.epsilon"):
        project = {**values, "model": {"name": "textcnn"}, "train": {"adversary": wrong}}
        build(config.parse(project), ["a", "b"])


@pytest.mark.parametrize(
    ("model", "task", "given", "trained"),
    [
        ("transformer", "multi", {}, "freelb"),
        ("transformer", "single", {}, None),
        ("textcnn", "multi", {}, None),
        ("tfidf", "multi", {}, None),
        ("transformer", "multi", {"adversary": "fgm"}, "fgm"),
        ("transformer", "multi", {"adversary": "none"}, None),
        ("tfidf", "multi", {"adversary": "none"}, None),
    ],
)
def test_a_project_that_names_no_adversary_has_the_models_own(model, task, given, trained):
    source = {"path": "t.csv", "columns": {"record_id": "id", "text": ["t"]}}
    values = {"source": source, "labels": {"task": task}, "train": given, "model": {"name": model}}
    project = config.parse(values)
    found = estimators.components(project).get("train.adversary")
    assert (found and found["name"]) == trained
    estimator = build(project, ["a", "b"])
    if model == "tfidf":
        return
    estimator.fit(TEXTS, TARGETS[task])
    steps = [row for row in estimator.history_ if "adversary_seconds" in row]
    assert bool(steps) == bool(trained)


def test_plain_training_has_no_settings():
    with pytest.raises(ConfigError, match="`none` is plain training and has no `epsilon`"):
        adversaries.choose(config.Component(name="none", epsilon=3), None)


def test_a_checkpoint_of_ones_own_is_trained_plainly_unless_an_adversary_is_named(bert):
    settings = registry.settings("model", "transformer", {"checkpoint": str(bert)})
    assert registry.get("model", "transformer").usual_adversary("multi", settings) is None


def test_rdrop_needs_dropout(networks, easy):
    network = networks["textcnn"].eval()
    with pytest.raises(ConfigError, match="no dropout"):
        run("rdrop", network, record(network, easy))


def test_some_rows_of_a_batch_keep_their_dropout_masks(network, easy):
    evaluate = record(network, easy, rows=8)
    rows = torch.tensor([1, 4, 6])
    whole = Evaluate.logits(evaluate)[rows]
    some = evaluate.take(rows)
    point = evaluate.embed()[rows]
    torch.testing.assert_close(Evaluate.logits(some, point), whole, atol=1e-5, rtol=1e-4)
    other = Evaluate.logits(some, point, draw=1)
    assert not torch.allclose(other, whole, atol=1e-3)
    torch.testing.assert_close(Evaluate.logits(evaluate)[rows], whole)


def test_the_steepest_texts_can_be_chosen(networks, easy):
    network = networks["textcnn"].eval()
    evaluate = record(network, easy, rows=8)
    run("partial_fgm", network, evaluate, share=0.25, choice="steepest")
    _, gradient = Passes(network, evaluate).ascend()
    steepest = geometry.lengths(gradient).flatten().topk(2).indices.sort().values
    assert torch.equal(evaluate.passes[1].evaluate.batch.ids, evaluate.batch.ids[steepest])


@pytest.mark.parametrize("kind", ["adversaries", "losses"])
def test_each_is_listed_with_a_line_and_its_source(kind):
    singular = registry.kind(kind)
    lines, sources = registry.names(singular), registry.sources(singular)
    assert len(lines) >= 9
    assert all(lines.values())
    assert all(sources.values()), sources
