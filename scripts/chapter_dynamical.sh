#!/bin/sh
# Runs the presets of dynamicAL: Wang et al. (2022, arXiv:2110.08611).
# Those for two cores come first; al-bench list experiments says what each costs. Typed again, it goes on where it stopped.
. "$(dirname "$0")/arguments_of_chapter.sh"
results=results/dynamical
for preset in \
  dynamical/cnn_splits \
  dynamical/cnn_gamma \
  dynamical/cnn_250 \
  dynamical/cnn_500 \
  dynamical/cnn_500_cold \
  dynamical/cnn_1000 \
  dynamical/resnet_500_small \
  dynamical/resnet_splits \
  dynamical/resnet_500 \
  dynamical/resnet_500_cold \
  dynamical/resnet_1000 \
  dynamical/svhn_splits \
  dynamical/svhn_500 \
  dynamical/svhn_500_cold \
  dynamical/svhn_1000 \
  dynamical/caltech101_500 \
  dynamical/caltech101_1000
do
  al-bench run "experiment=$preset" "dataset.root=$root" "results=$results" "$@"
done
al-bench study approximation "experiment=dynamical/approximation" "dataset.root=$root" "results=$results" "$@"
al-bench study ntk "experiment=dynamical/kernels" "dataset.root=$root" "results=$results" "$@"
al-bench compare "$results" 'arms=[strategy,training.start,budget.batch_size]'
al-bench plot "$results"
