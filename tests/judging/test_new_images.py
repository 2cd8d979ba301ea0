"""What the test images are to a judgement: from the kept bits of its runs, and again when it is judged again."""

import dataclasses

import numpy as np
import pytest

import tickets_tf
from tests import example_records
from tests.report import sanity_verdicts
from tickets_tf.judging import new_images
from tickets_tf.judging import rejudge
from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.question import Question
from tickets_tf.judging.testset import error_of_images
from tickets_tf.runs import correct
from tickets_tf.runs.run import Run

IMAGES, SEEDS = 400, 4


@pytest.fixture
def asked(tmp_path):
  """A question, its records with the bits of its runs, the judgement, and the bits of both sides."""
  base = tickets_tf.Settings(pruner='snip', ratio=0.9, output_dir=str(tmp_path))
  question = Question(Run(base), 'rearrange')
  rng = np.random.default_rng(5)
  hard = rng.uniform(0.3, 1, IMAGES)
  records, sides = {}, []
  for of_seed, shift in ((question.original, 0.0), (question.checked, 0.1)):
    bits = rng.uniform(size=(SEEDS, IMAGES)) < np.clip(hard - shift, 0, 1)
    for seed, row in enumerate(bits):
      run = of_seed(seed)
      run.folder.path.mkdir(parents=True)
      correct.write(run.folder.correct, correct.Correct(row, np.zeros(IMAGES, bool)))
      record = example_records.record(run)
      records[run] = dataclasses.replace(record, dataset=dataclasses.replace(record.dataset, test=IMAGES))
    sides.append(bits)
  judgement, = sanity_verdicts.judged([sanity_verdicts.evidence(
      original=100 * sides[0].mean(1), checked=100 * sides[1].mean(1))])
  return question, records, judgement, sides


def test_bounds_are_wider_for_new_images_and_deviations_are_split(asked):
  question, records, judgement, (original, checked) = asked
  found = new_images.with_images(question, judgement, records)
  images = found.images
  assert images.error == pytest.approx(error_of_images(original, checked)) and images.error > 0
  for old, new in ((judgement.interval.rule_family, images.interval.rule_family),
                   (judgement.interval.whole_call, images.interval.whole_call)):
    assert new[0] < old[0] < old[1] < new[1] and sum(new) == pytest.approx(sum(old))
    assert np.ptp(new) / np.ptp(old) == pytest.approx(np.hypot(judgement.error, images.error) / judgement.error)
  between, of_test_set, _ = images.original
  assert between == pytest.approx(100 * original.mean(1).std(ddof=1)) and of_test_set > 0
  assert dataclasses.replace(found, images=None) == judgement


def test_without_all_bits_nothing_is_said_of_images(asked):
  question, records, judgement, _ = asked
  missing = dict(list(records.items())[1:])
  assert new_images.with_images(question, judgement, missing) == judgement
  question.checked(2).folder.correct.unlink()
  assert new_images.with_images(question, judgement, records) == judgement


def test_what_is_known_of_images_is_written_told_and_kept_when_it_is_judged_again(asked, tmp_path):
  question, records, judgement, _ = asked
  found = new_images.with_images(question, judgement, records)
  made = dataclasses.replace(sanity_verdicts.minimal(), judgements=(found,), resolution=0.25)
  verdicts_file.write(tmp_path / 'verdicts.json', made)
  assert verdicts_file.read(tmp_path / 'verdicts.json') == made
  again, = rejudge.rejudge(tmp_path / 'verdicts.json', alpha=0.2).judgements
  assert again.images.error == found.images.error and again.images.original == found.images.original
  assert np.ptp(again.images.interval.rule_family) < np.ptp(found.images.interval.rule_family)
  ratio = np.ptp(again.images.interval.rule_family) / np.ptp(again.interval.rule_family)
  assert ratio == pytest.approx(np.hypot(again.error, again.images.error) / again.error)
