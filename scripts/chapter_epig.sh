#!/bin/sh
# Runs the presets of EPIG: Bickford Smith et al. (2023, arXiv:2304.08151).
# Those for two cores come first; al-bench list experiments says what each costs. Typed again, it goes on where it stopped.
. "$(dirname "$0")/arguments_of_chapter.sh"
results=results/epig
for preset in \
  epig/uci_vowel \
  epig/uci_satellite \
  epig/uci_magic \
  epig/redundant_mnist_small \
  epig/redundant_mnist_small_pool \
  epig/redundant_mnist \
  epig/curated_mnist \
  epig/unbalanced_mnist \
  epig/uci_vowel_mlp \
  epig/uci_satellite_mlp \
  epig/uci_magic_mlp \
  epig/cifar10_svhn
do
  al-bench run "experiment=$preset" "dataset.root=$root" "results=$results" "$@"
done
al-bench compare "$results" 'arms=[strategy,target]'
al-bench plot "$results"
