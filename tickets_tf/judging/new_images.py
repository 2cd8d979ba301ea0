"""What the test images are to a comparison, from the files that tell which of them each run got right."""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

import numpy as np
import numpy.typing as npt

from tickets_tf.errors import UsageError
from tickets_tf.judging.bounds import Bounds
from tickets_tf.judging.question import Question
from tickets_tf.judging.testset import error_of_images
from tickets_tf.judging.testset import split_variance
from tickets_tf.judging.testset import with_new_images
from tickets_tf.judging.verdicts import Images
from tickets_tf.judging.verdicts import Intervals
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.runs import correct
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run

_Bits = npt.NDArray[np.bool_]


def with_images(question: Question, judgement: Judgement, records: Mapping[Run, Record]) -> Judgement:
  """Returns a judgement that tells how much of its deviations the test set makes, and bounds for new images too.

  Nothing is added if a run failed, if what it got right was not kept, or for what is unaffected by construction.

  Args:
    question: what is asked.
    judgement: what is said of it.
    records: the runs that are done.
  """
  if judgement.unaffected or judgement.error is None:
    return judgement
  try:
    original, checked = (_bits(map(of_seed, judgement.seeds), records)
                         for of_seed in (question.original, question.checked))
    error = error_of_images(original, checked)
    images = Images(split_variance(original).deviations, split_variance(checked).deviations, error,
                    _wider(judgement, error))
  except (UsageError, KeyError):
    return judgement
  return dataclasses.replace(judgement, images=images)


def again(before: Judgement, now: Judgement) -> Judgement:
  """Returns a judgement with what was known of the test images when it was judged before.

  Args:
    before: the earlier judgement of the same runs.
    now: the later one.
  """
  images = before.images
  if images is None or now.error is None:
    return now
  return dataclasses.replace(now, images=dataclasses.replace(images, interval=_wider(now, images.error)))


def _bits(runs: Iterable[Run], records: Mapping[Run, Record]) -> _Bits:
  """Returns which test images the settled weights of each run get right, [runs, images]."""
  return np.stack([correct.read(run.folder.correct, records[run].dataset.test).settled for run in runs])


def _wider(judgement: Judgement, error: float) -> Intervals:
  assert judgement.drop is not None and judgement.error is not None
  found = with_new_images(Bounds(judgement.drop, judgement.error, judgement.interval.rule_family,
                                 judgement.interval.whole_call), error)
  return Intervals(found.rule_family, found.whole_call)
