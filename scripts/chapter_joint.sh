#!/bin/sh
# Runs the presets of joint predictions: Kirsch et al. (2022, arXiv:2205.08766).
# Those for two cores come first; al-bench list experiments says what each costs. Typed again, it goes on where it stopped.
set -eu
if [ $# -lt 1 ]; then
  echo "usage: $0 FOLDER [key=value ...]: FOLDER holds the data sets (dataset.root), words such as workers=2 go to each run" >&2
  exit 2
fi
root=$1
shift
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
