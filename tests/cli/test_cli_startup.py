"""What a run imports before it trains: what takes seconds and is not used stays out."""

import subprocess
import sys

import pytest
from conftest import QUICK

COSTLY = ("torch._dynamo", "sympy", "sklearn", "scipy.stats", "matplotlib", "torchvision")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["strategy=bald"], ["strategy=random", "training.optimizer=sgd"]], ids=" ".join
)
def test_a_run_on_digits_imports_neither_a_compiler_nor_scikit_learn(tmp_path, words):
    code = "import sys; from al_bench import cli; cli.main()"
    code += f"; print({{*{COSTLY}}} & {{*sys.modules}})"
    words = ["run", *QUICK, "seeds=1", *words]
    words = list({word.partition("=")[0]: word for word in words}.values())
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert "seed 0 done" in done.stdout, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "set()"
