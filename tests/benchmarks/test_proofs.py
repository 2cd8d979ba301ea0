"""The table of proofs, of runs that are not made."""

from benchmarks import proofs
from tests import example_records
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings


def test_each_original_has_a_table_of_its_checks_in_their_order(tmp_path):
  original = Run(Settings(pruner='lr_rewinding', rounds=3, output_dir=str(tmp_path)))
  made = {original: {}, original.scored: {}, original.replace(seed=1): {},
          original.replace(check='signs'): {'same_signs': 1.0, 'kept_zeros_before': 0, 'kept_zeros': 2},
          original.replace(check='rearrange'): {
              'kept_elsewhere': 0.4071, 'same_count_in_each_layer': True, 'effective_before': 9, 'effective': 7,
              'kept_zeros_before': 0, 'kept_zeros': 0},
          original.replace(check='random_labels'): {'labels_agreeing': 0.1},
          # What the last one comes from is no ticket of its own.
          original.replace(check='random_labels').scored: {'labels_agreeing': 0.1}}
  for run, proof in made.items():
    run.folder.path.mkdir()
    records.write(run.folder.path, example_records.record(run, proof=proof))
  lines = list(proofs.tables(tmp_path))
  assert lines[0] == '### lr_rewinding, 3 rounds, ratio 0.95, seed 0'
  assert lines[4:] == [
      '| (original) | | 4 | | 90.00 |',
      '| `random_labels` | labels agreeing 0.1 |  |  | 90.00 |',
      '| `rearrange` | kept elsewhere 0.4071, same count in each layer yes | 9 → 7 | 0 → 0 | 90.00 |',
      '| `signs` | same signs 1 |  | 0 → 2 | 90.00 |', '']
