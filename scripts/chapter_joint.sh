#!/bin/sh
# Runs the presets of joint predictions: Kirsch et al. (2022, arXiv:2205.08766).
# Those for two cores come first; al-bench list experiments says what each costs. Typed again, it goes on where it stopped.
. "$(dirname "$0")/arguments_of_chapter.sh"
results=results/joint
for preset in \
  joint/cross_entropies \
  joint/obi_mnist_small \
  joint/obi_mnist
do
  al-bench run "experiment=$preset" "dataset.root=$root" "results=$results" "$@"
done
al-bench compare "$results" 'arms=[strategy,model]'
al-bench plot "$results"
