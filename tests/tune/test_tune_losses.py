"""Our losses against those of sentence-transformers, and worked out by hand."""

import math
import warnings

import pytest
import torch

from steelyard.tune.contrast import contrastive_loss
from steelyard.tune.ranking import distilled, listwise, pointwise

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.cross_encoder import CrossEncoder, losses
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss


def unit(*shape: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape), dim=1)


def test_contrastive_loss_is_multiple_negatives_ranking_loss():
    torch.manual_seed(3)
    queries, candidates = unit(4, 8), unit(8, 8)  # a positive and a negative each
    ours = contrastive_loss(
        queries,
        candidates,
        keys=torch.arange(8),
        relevant=torch.arange(4)[:, None],
        temperature=0.05,
    )
    theirs = MultipleNegativesRankingLoss(model=None, scale=20.0)
    expected = theirs.compute_loss_from_embeddings([queries, candidates[:4], candidates[4:]], None)
    assert float(ours) / 4 == pytest.approx(float(expected), rel=1e-5)


def test_another_positive_of_a_question_is_no_negative():
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    candidates = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    keys = torch.tensor([7, 8])
    apart = contrastive_loss(
        queries[:1], candidates, keys=keys, relevant=torch.tensor([[7]]), temperature=1.0
    )
    known = contrastive_loss(
        queries[:1], candidates, keys=keys, relevant=torch.tensor([[7, 8]]), temperature=1.0
    )
    assert float(apart) == pytest.approx(math.log(2))
    assert float(known) == pytest.approx(0.0)


def test_margin_leaves_out_what_the_guide_thinks_as_good_as_the_positive():  # FIELD 21
    queries = torch.tensor([[1.0, 0.0]])
    candidates = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    given = {"keys": torch.arange(3), "relevant": torch.tensor([[0]]), "temperature": 1.0}
    guided = contrastive_loss(queries, candidates, guide=(queries, candidates), margin=0.1, **given)
    # The second scores as the positive does and is left out; the third stays.
    assert float(guided) == pytest.approx(math.log(1 + math.exp(-1)))


class Scored(CrossEncoder):
    """A cross-encoder whose scores are given, whatever it is asked."""

    num_labels = 1
    device = torch.device("cpu")

    def __init__(self, scores: torch.Tensor) -> None:
        torch.nn.Module.__init__(self)
        self.scores = scores

    def preprocess(self, pairs, **options):
        return {}

    def forward(self, features, **options):
        return {"scores": self.scores}


def test_pointwise_loss_is_binary_cross_entropy_loss_summed():
    scores = torch.tensor([2.0, -1.0, 0.5, 0.3, 1.0])
    theirs = losses.BinaryCrossEntropyLoss(Scored(scores))
    expected = theirs([["q"] * 5, ["p"] * 5], torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]))
    assert float(pointwise(scores, (3, 2))) / 5 == pytest.approx(float(expected))


def test_listwise_loss_is_list_net_loss_with_one_relevant_passage():
    scores = torch.tensor([2.0, -1.0, 0.5, 0.3, 1.0])
    theirs = losses.ListNetLoss(Scored(scores), mini_batch_size=-1)
    sure = [torch.tensor([1e4, 0.0, 0.0]), torch.tensor([1e4, 0.0])]  # its softmax: 1 and 0
    expected = theirs([["q", "r"], [["a", "b", "c"], ["d", "e"]]], sure)
    assert float(listwise(scores, (3, 2))) / 2 == pytest.approx(float(expected))


def test_listwise_loss_by_hand_for_lists_of_two_lengths():
    scores = torch.tensor([1.0, 0.0, 2.0, 0.0, 0.0])
    expected = math.log(1 + math.exp(-1)) + math.log(1 + 2 * math.exp(-2))
    assert float(listwise(scores, (2, 3))) == pytest.approx(expected)


def test_a_student_that_scores_as_its_teacher_has_nothing_to_learn():
    scores = torch.tensor([1.0, 0.0, 2.0, 0.0, 0.5], requires_grad=True)
    same = distilled(scores, scores.detach() + 3.0, (2, 3))  # a shift is no difference
    assert float(same.detach()) == pytest.approx(0.0, abs=1e-6)
    same.backward()
    assert torch.allclose(scores.grad, torch.zeros(5), atol=1e-6)
    other = distilled(scores, torch.tensor([0.0, 1.0, 2.0, 0.0, 0.5]), (2, 3))
    assert float(other.detach()) == pytest.approx(2 * (1 / (1 + math.exp(-1)) - 0.5), rel=1e-4)
