"""What is sent to others names no absolute path and no machine."""

import pandas as pd
import pytest

from al_bench.report.publishing import published_frame, without_places


@pytest.mark.promise("Secrets stay home")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--config-dir=/home/me/x/y 'results=/home/Jane Doe/x'", "--config-dir=…/y 'results=…/x'"),
        ("results: /home/Jane Doe/x\nroot: '/a b/c/d'", "results: …/x\nroot: '…/d'"),
        ("uri: sqlite:////home/me/x.db", "uri: sqlite:///…/x.db"),
        ("replay(run=/a/b/c) a=/x/y/z,/u/v/w", "replay(run=…/c) a=…/z,…/w"),
        ("[Errno 2] No such file: '/home/me'", "[Errno 2] No such file: '…'"),
        ("root=C:\\Users\\me\\data", "root=…/data"),
        ("held on node7.local, node7 and node70", "held on …, … and node70"),
        ("results/digits, ~/x, n/a, 1 / 2, 20/35, https://a.b/c/d", None),
    ],
)  # fmt: skip
def test_places_are_left_out(text, said):
    assert without_places(text, {"node7", "node7.local"}) == (said or text)


def test_names_that_differ_still_do():
    frame = pd.DataFrame({"strategy_label": ["r(run=/a/b/c)", "r(run=/a/d/c)", "bald"], "n": 1})
    labels = published_frame(frame, without_places)["strategy_label"].tolist()
    assert labels == ["r(run=…/c)", "r(run=…/c) (2)", "bald"]
