"""Write docs/strategies.md from the strategies' own files.

The first line of each file under conf/strategy says what it is; the docstring of its class says how
it is computed, what it costs, and where it differs from published code.
"""

import inspect
import re
from pathlib import Path

from hydra.utils import get_object

from al_bench.configuration.composing import compose
from al_bench.running.active_learning import build_strategy
from al_bench.strategies.base import LABELS
from al_bench.strategies.pointwise import Pointwise

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf" / "strategy"
PAGE = ROOT / "docs" / "strategies.md"

HEAD = """# Strategies

Written by `scripts/write_strategy_page.py` from the strategies' own files.
`al-bench list strategies` prints the short form, `al-bench run strategy=NAME --cfg job` the
parameters.
[information.md](information.md) defines the quantities. N pool points, M labeled, T target inputs,
K posterior samples, C classes, D features, B batch.

Any score goes with any batch rule: `strategy=bald strategy/rule=power strategy.rule.beta=4`. Any
strategy goes into a wrapper: `strategy=subsample strategy@strategy.of=badge strategy.size=5000`.
Coverage strategies look at a feature space: `strategy/space=last_layer|inputs|embeddings`.
"""


def page() -> str:
    """The whole page."""
    files = {path.stem: _first_line(path) for path in sorted(CONF.glob("*.yaml"))}
    scored, own = [], []
    for name, line in files.items():
        more = ["strategy.run=."] if name == "replay" else []
        node = compose([f"strategy={name}", *more]).config.strategy
        strategy = build_strategy(node, "strategy")
        needs = ", ".join(sorted(strategy.needs - {LABELS})) or "nothing"
        if isinstance(strategy, Pointwise):
            scored.append((name, _rule(node), needs, line))
        else:
            own.append((name, line, get_object(node["_target_"])))
    parts = [HEAD, "## A score and a batch rule\n"]
    parts.append("| strategy | rule | needs | what it is |\n| --- | --- | --- | --- |")
    parts += [f"| `{name}` | {rule} | {needs} | {line} |" for name, rule, needs, line in scored]
    parts.append("\n## Scores\n")
    for path in sorted((CONF / "score").glob("*.yaml")):
        parts.append(f"**`strategy/score={path.stem}`** {_first_line(path)}.\n")
        parts.append(text(get_object(target(path))) + "\n")
    parts.append("## Batch rules\n")
    for path in sorted((CONF / "rule").glob("*.yaml")):
        parts.append(f"**`strategy/rule={path.stem}`** {_first_line(path)}.\n")
        parts.append(text(get_object(target(path))) + "\n")
    parts.append("## Joint and diverse selections, wrappers, controls\n")
    for name, line, cls in own:
        parts.append(f"### {name}\n\n{line}.\n")
        parts.append(text(cls) + "\n")
    return "\n".join(parts).rstrip() + "\n"


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").strip()


def target(path: Path) -> str:
    """The name of the one class or function that a file of ``conf/strategy`` builds."""
    (found,) = re.findall(r"^_target_: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return str(found)


def _rule(node: object) -> str:
    return str(node["rule"]["_target_"]).rsplit(".", 1)[-1]  # type: ignore[index]


def text(item: object) -> str:
    """The docstring as Markdown: its sections become lists."""
    docstring = re.sub(r"``([^`]+)``", r"`\1`", inspect.getdoc(item) or "")
    lines = []
    inside = False
    for line in docstring.splitlines():
        if re.fullmatch(r"(Args|Returns|Raises|Attributes):", line):
            inside = True
            lines.append(f"{line[:-1]}:\n" if line != "Args:" else "Parameters:\n")
        elif inside and re.match(r"    \w[\w ]*: ", line):
            name, rest = line.strip().split(": ", 1)
            lines.append(f"- `{name}`: {rest}")
        elif inside and line.startswith("    "):
            lines.append(f"  {line.strip()}")
        else:
            inside = inside and not line
            lines.append(line)
    return "\n".join(lines).strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
