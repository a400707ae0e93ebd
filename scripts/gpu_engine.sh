#!/bin/sh
# Measures the engine on a GPU in at most ten minutes: the GPU tests; training by itself, in packs, and in packs without
# CUDA graphs; whether a run comes out the same to the bit; rounds of 32 seeds side by side; and the 72 trials of
# docs/reference_mnist.md in one process. Each step has a limit of its own, what it finds is written before the next one
# begins, and typed again the trials go on where they stopped. Run it in the environment of al-bench.
set -u
if [ $# -ne 2 ]; then
  echo "usage: $0 FOLDER OUT: FOLDER holds MNIST (dataset.root), what is found is written to OUT" >&2
  exit 2
fi
root=$1 out=$2 failed=0
scripts=$(dirname "$0")
mkdir -p "$out"

# step NAME SECONDS COMMAND...: writes NAME.txt, and a line with exit code (124: past its limit) and seconds.
step() {
  name=$1 limit=$2
  shift 2
  echo "== $name, at most $limit s"
  started=$(date +%s)
  timeout -k 15 "$limit" "$@" > "$out/$name.txt" 2>&1
  code=$?
  [ "$code" -eq 0 ] || failed=1
  tail -n 20 "$out/$name.txt"
  echo "$name: exit $code after $(($(date +%s) - started)) s" | tee -a "$out/steps.txt"
}

# run NAME SECONDS key=value ...: a run of BatchBALD's protocol, with results in OUT/NAME.
run() {
  of=$1 at_most=$2
  shift 2
  step "$of" "$at_most" al-bench run device=cuda "dataset.root=$root" chunk_bytes=536870912 "results=$out/$of" "$@"
}

tests=$scripts/../tests
step tests 100 python -m pytest -m gpu --tb=short "$tests/test_gpu.py" "$tests/training"
step engine 110 python "$scripts/benchmark_engine.py" --device cuda --out "$out/engine.json"

run once 30 -m experiment=batchbald/mnist strategy=batchbald seeds=1 pack_width=2 budget.total=40
step again 30 al-bench rerun "$(find "$out/once" -path '*/manifests/seed=0.json')" "dataset.root=$root"

run rounds 60 -m experiment=batchbald/mnist strategy=random seeds=32 pack_width=32 budget.total=70
step seconds 10 python -c '
import sys
from al_bench.results.frame import read_curves
print(read_curves(sys.argv[1:]).filter(like="seconds_").mean().rename("mean seconds of a trial and round").to_string())
' "$out/rounds"

run mnist 130 -m experiment=batchbald/mnist seeds=6 pack_width=36 strategy=random,bald,batchbald,epig,badge,powerbald
run repeated_mnist 130 -m experiment=batchbald/repeated_mnist seeds=6 pack_width=36 \
  strategy=random,bald,batchbald,badge,powerbald,variation_ratios
exit $failed
