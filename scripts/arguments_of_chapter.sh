# Sourced by each chapter_*.sh: takes FOLDER off its words, as root, and ends it where a command fails.
set -eu
if [ $# -lt 1 ]; then
  echo "usage: $0 FOLDER [key=value ...]: FOLDER holds the data sets (dataset.root), words such as workers=2 go to each run" >&2
  exit 2
fi
root=$1
shift
