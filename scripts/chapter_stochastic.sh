#!/bin/sh
# Runs the presets of stochastic batches: Kirsch et al. (2023, arXiv:2106.12059).
# Those for two cores come first; al-bench list experiments says what each costs. Typed again, it goes on where it stopped.
. "$(dirname "$0")/arguments_of_chapter.sh"
results=results/stochastic
for preset in \
  stochastic/repeated_mnist_small \
  stochastic/repeated_mnist_batchbald_small \
  stochastic/emnist_small \
  stochastic/emnist_batchbald_small \
  stochastic/repeated_mnist \
  stochastic/repeated_mnist_batchbald \
  stochastic/repeated_mnist_batch_sizes \
  stochastic/repeated_mnist_coldness \
  stochastic/repeated_mnist_scores \
  stochastic/emnist \
  stochastic/emnist_batchbald
do
  al-bench run "experiment=$preset" "dataset.root=$root" "results=$results" "$@"
done
al-bench compare "$results" 'arms=[strategy,budget.batch_size]'
al-bench plot "$results"
