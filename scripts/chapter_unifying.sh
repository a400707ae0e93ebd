#!/bin/sh
# Measures how alike information quantities and their Fisher forms rank points (Kirsch and Gal 2022, arXiv:2208.00549),
# and what GraNd and EL2N rank by before anything is trained. Studies have tables and figures of their own, and no arms.
# Typed again, it goes on where it stopped.
. "$(dirname "$0")/arguments_of_chapter.sh"
results=results/unifying
al-bench study fisher experiment=unifying/rank_correlation "dataset.root=$root" "results=$results" "$@"
al-bench study initialization dataset=mnist "dataset.root=$root" "results=$results" "$@"
