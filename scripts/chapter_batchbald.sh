#!/bin/sh
# Runs the presets of BatchBALD: Kirsch et al. (2019, arXiv:1906.08158).
# Those for two cores come first; al-bench list experiments says what each costs. Typed again, it goes on where it stopped.
. "$(dirname "$0")/arguments_of_chapter.sh"
results=results/batchbald
for preset in \
  batchbald/mnist_small \
  batchbald/repeated_mnist_small \
  batchbald/sieve_bald_small \
  batchbald/emnist_small \
  batchbald/mnist \
  batchbald/mnist_batch_sizes \
  batchbald/repeated_mnist \
  batchbald/sieve_bald \
  batchbald/emnist
do
  al-bench run "experiment=$preset" "dataset.root=$root" "results=$results" "$@"
done
al-bench compare "$results" 'arms=[strategy,budget.batch_size]'
al-bench plot "$results"
