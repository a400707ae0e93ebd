#!/bin/sh
# Runs the presets of DDU: Mukhoti et al. (2023, arXiv:2102.11582). scripts/make_ambiguous_mnist.py makes the ambiguous digits.
# Those for two cores come first; al-bench list experiments says what each costs. Typed again, it goes on where it stopped.
. "$(dirname "$0")/arguments_of_chapter.sh"
results=results/ddu
for preset in \
  ddu/outliers_fashion \
  ddu/outliers_fashion_ensemble \
  ddu/outliers_fashion_sngp \
  ddu/active_learning_mnist_small \
  ddu/active_learning_mnist_ensemble_small \
  ddu/dirty_mnist \
  ddu/active_learning_dirty_mnist_small \
  ddu/active_learning_dirty_mnist_ensemble_small \
  ddu/active_learning_mnist \
  ddu/active_learning_mnist_ensemble \
  ddu/active_learning_dirty_mnist \
  ddu/active_learning_dirty_mnist_ensemble \
  ddu/ood_cifar10 \
  ddu/ood_cifar10_ensemble
do
  al-bench run "experiment=$preset" "dataset.root=$root" "results=$results" "$@"
done
al-bench compare "$results" 'arms=[strategy,model,model.network.spectral]'
al-bench plot "$results"
