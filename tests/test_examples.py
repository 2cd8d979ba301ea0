import numpy as np

import tickets_tf
from examples import mine
from tests import small_network
from tickets_tf.experiment import train
from tickets_tf.experiment.sanity_check import sanity_check
from tickets_tf.judging.plan import Plan


def test_the_example_scores_weights_by_their_inputs(small_model, small_batch):
  images, labels = small_batch
  scores = tickets_tf.score_weights(small_model, 'examples.mine:loud_inputs', images, labels)
  first = tickets_tf.prunable_kernels(small_model)[0].variable.numpy()
  np.testing.assert_allclose(scores[0], np.abs(first) * np.abs(np.asarray(images)).mean(axis=(0, 1, 2))[:, None],
                             rtol=1e-5)
  assert mine.loud_inputs(small_model, images * 2, labels, None)[0].sum() > 1.9 * scores[0].sum()


def test_the_example_is_judged(tmp_path):
  base = tickets_tf.Settings(model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=1,
                             progress=False, tensorboard=False, export=False, samples_per_class=2,
                             output_dir=str(tmp_path))
  plan = Plan(base, ('examples.mine:loud_inputs',), (0.8,), ('random_labels', 'rearrange'), seeds=1)
  verdicts = sanity_check(plan, say=lambda line: None, progress=False)
  assert [each.check for each in verdicts.judgements] == ['random_labels', 'rearrange']
  # It does not look at labels, so its ticket is the same one.
  assert verdicts.judgements[0].drop == 0.0
  assert verdicts.judgements[1].proofs[0]['kept_elsewhere'] > 0.3
  assert train.train is tickets_tf.train
