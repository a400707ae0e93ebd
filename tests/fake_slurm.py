"""A Slurm of one node that starts all tasks at once: sbatch, srun, scontrol, sacct."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

JOB = "77"


def install(folder):
    """Make the programs in a folder; what a process has to have in its environment for them."""
    folder = folder.resolve()
    folder.mkdir()
    for name in ("sbatch", "srun", "scontrol", "sacct"):
        program = folder / name
        program.write_text(f"#!{sys.executable}\nimport runpy, sys\nsys.argv.insert(1, {name!r})\n")
        with program.open("a") as file:
            file.write(f"runpy.run_path({str(Path(__file__))!r}, run_name='__main__')\n")
        program.chmod(0o755)
    places = (folder, Path(sys.executable).parent, os.environ["PATH"])
    environment = {name: value for name, value in os.environ.items() if "SLURM" not in name}
    return environment | {"PATH": os.pathsep.join(map(str, places)), "FAKE_SLURM": str(folder)}


def tasks(folder):
    """The tasks that have ended, with their exit codes, the last one last; by number."""
    return {int(path.stem): json.loads(path.read_text()) for path in folder.glob("*.ended")}


def _sbatch(folder, words):
    options = list(itertools.takewhile(lambda word: word.startswith("--"), words))
    script, *rest = words[len(options) :]
    said = re.findall(r"^#SBATCH (.*)$", Path(script).read_text(), re.M)
    last = dict(option.lstrip("-").partition("=")[::2] for option in (*said, *options))
    (folder / "options.json").write_text(json.dumps(last))
    copy = shutil.copy(script, folder / "script.sh")
    first, _, final = last["array"].partition("%")[0].partition("-")
    for task in range(int(first), int(final or first) + 1):
        words = [sys.executable, __file__, "task", str(task), str(copy), *rest]
        with (folder / f"{task}.out").open("a") as out:
            subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True)
    print(f"Submitted batch job {JOB}")


def _task(folder, words):
    task, script, *rest = words
    numbers = {"SLURM_JOB_ID": f"{JOB}{task}", "SLURM_ARRAY_JOB_ID": JOB}
    environment = os.environ | numbers | {"SLURM_ARRAY_TASK_ID": task}
    again, codes = folder / f"{JOB}_{task}.again", []
    while not codes or again.exists():
        again.unlink(missing_ok=True)
        with (folder / f"{task}.pid").open("w") as file, (folder / f"{task}.out").open("a") as out:
            words = ["bash", script, *rest]
            process = subprocess.Popen(
                words, env=environment, stdout=out, stderr=out, start_new_session=True
            )
            file.write(str(process.pid))
        codes.append(process.wait())
    (folder / f"{task}.ended").write_text(json.dumps(codes))


def _srun(words):
    options = {}
    while words[0].startswith("--"):
        name = words.pop(0)
        options[name] = None if name == "--unbuffered" else words.pop(0)
    for number, name in ((1, "--output"), (2, "--error")):
        if name in options:
            array, task = os.environ["SLURM_ARRAY_JOB_ID"], os.environ["SLURM_ARRAY_TASK_ID"]
            path = options[name].replace("%A", array).replace("%a", task).replace("%t", "0")
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.execvp(words[0], words)


def _sacct(folder):
    print("JobID|State|NodeList")
    for path in folder.glob("*.pid"):
        state = "COMPLETED" if path.with_suffix(".ended").exists() else "RUNNING"
        print(f"{JOB}_{path.stem}|{state}|here")


def main():
    folder, name, words = Path(os.environ["FAKE_SLURM"]), sys.argv[1], sys.argv[2:]
    if name == "sbatch":
        _sbatch(folder, words)
    elif name == "srun":
        _srun(words)
    elif name == "sacct":
        _sacct(folder)
    elif name == "scontrol":
        (folder / f"{words[1]}.again").touch()
    else:
        _task(folder, words)


if __name__ == "__main__":
    main()
