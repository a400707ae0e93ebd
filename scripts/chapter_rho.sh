#!/bin/sh
# Runs the presets of RHO-LOSS: Mindermann et al. (2022, arXiv:2206.07137). rho/mnist_ambiguous needs the images of
# scripts/make_ambiguous_mnist.py, and rho/cifar10_small_human a file cifar10n.npz in the current folder.
# Those for two cores come first; al-bench list experiments says what each costs. Typed again, it goes on where it stopped.
. "$(dirname "$0")/arguments_of_chapter.sh"
results=results/rho
for preset in \
  rho/mnist \
  rho/mnist_noise \
  rho/mnist_classes \
  rho/mnist_noise_samples \
  rho/mnist_noise_levels \
  rho/mnist_structured \
  rho/mnist_share \
  rho/fashion_mnist \
  rho/fashion_mnist_two_halves \
  rho/cifar10_small \
  rho/cifar10 \
  rho/cifar100 \
  rho/cinic10 \
  rho/mnist_ambiguous \
  rho/cifar10_small_human
do
  al-bench run "experiment=$preset" "dataset.root=$root" "results=$results" "$@"
done
al-bench compare "$results"
al-bench plot "$results"
