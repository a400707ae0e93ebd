#!/usr/bin/env bash
# A Slurm array of `al-bench run`, a task for each seed or for each line of a file: submit and leave.
#
#     sbatch --array=0-24 scripts/cluster/slurm_array.sh strategy=bald results=/shared/results
#     sbatch --array=0-7 scripts/cluster/slurm_array.sh --jobs jobs.txt seeds=25 results=/shared/results
#
# Task i runs seed i, or the words of line i+1 of the file beside those that are typed: a line is a
# job, such as `strategy=bald budget.batch_size=10`. Options of sbatch that are typed before the
# script replace those below. `al-bench status /shared/results` says how far it is.
#
# Two minutes before its time is up, or where another job gets its place, al-bench is told by a
# signal, keeps what is committed, and ends with exit code 75. The task is then queued again, and
# goes on after its last committed round, on the same kind of node: say which with --constraint, or
# add resume=any.

#SBATCH --job-name=al-bench
#SBATCH --time=04:00:00
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=al-bench-%A_%a.out

task=${SLURM_ARRAY_TASK_ID:?"is set in a job array: sbatch --array=0-24 $0 ..."}
words=("seeds=[$task]")
if [ "${1:-}" = --jobs ]; then
  file=${2:?"--jobs needs a file"}
  line=$(sed -n "$((task + 1))p" "$file") || exit 2
  [ -n "$line" ] || { echo "$file has no line $((task + 1))" >&2; exit 2; }
  read -ra words <<< "$line"
  shift 2
fi

export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}  # else srun gives it one core
trap : TERM USR1  # the shell outlives what it waits for
srun al-bench run "${words[@]}" "$@"
code=$?
if [ "$code" -eq 75 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$task" && exit 0
fi
exit "$code"
