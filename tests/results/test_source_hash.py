"""The hash of source is that of what it says, whatever Python reads it."""

import pytest

from al_bench.results.source_hash import source_hash

TRICKY = '''# -*- coding: utf-8 -*-
"""doc é"""
x = "é"; y = f"é{x!r:>{len(x)}}é{{}}" "tail" f'a{x}{{b}}'  # comment
z = f"""é {x
} {'nested' + f'{y}'}
line {{ }} {{{x}}}
"""
class A:
    """doc"""; q = 1
    b: int = 3
    """attribute"""
    def f(self): "single"
    def g(self):
        ("paren"
         "thesised")
        return rf"\\d{self.b:x}" + fr'{x=}' + f"{x = !s:^{10}}{{"
    async def h(self, *, a=1, **k):
        r"""doc"""
        return [i async for i in k if i != a] or a @ a, 0xFF_FF, 1_0.e-3j, ...
if x: \\
    y = 1
def λ(ñ): return lambda ß: f"{ñ}→{ß:é<5}" ;
match x:
    case {"a": 1, **rest}: pass
print(f"{'é'}é{'é'}", f"{x:%Y-%m}", f"{{{{", f"}}}}", f"é{{é{x}é}}é")
'''
PLAIN = "def f(x):\n    return [x, f'{x}']\n"


def test_it_is_the_same_on_every_python():
    # Strings in pieces are one token before Python 3.12 and many since; syntax trees differ more.
    assert source_hash(TRICKY.encode()) == "585dd00298fe041f"
    assert source_hash(b"x = 1\n") == "245a6ca839fb2ef1"


@pytest.mark.parametrize(
    "other",
    [
        "# one\n\n\ndef f(x):  # two\n\n    return [x, f'{x}']",
        f'"""Says what."""\n{PLAIN}'.replace(
            "    ", '    """And how.\n\n    At length.\n    """\n    '
        ),
        "def f(x):\r\n\treturn [\r\n\t\tx,\r\n\t\tf'{x}']\r\n",
        "# coding: latin-1\ndef f( x ):\n        return [ x,f'{x}' ]\n",
        "\ufeff" + PLAIN,
        "def f(x):\n    return \\\n        [x, f'{x}']\n",
    ],
)
def test_comments_docstrings_and_layout_do_not_count(other):
    encoding = "latin-1" if "latin-1" in other else "utf-8"
    assert source_hash(other.encode(encoding)) == source_hash(PLAIN.encode())


@pytest.mark.parametrize(
    "other",
    [
        "def f(x):\n    return [x, f'{x} ']\n",
        "def f(x):\n    return [x, f'{x!r}']\n",
        "def f(x):\n    return [x, '{x}']\n",
        "def f(x):\n    return [x, f'{x}', ]\n",
        "def f(x):\n    pass\nreturn [x, f'{x}']\n",
        "def f(x):\n    x = 'doc'\n    return [x, f'{x}']\n",
        "def f(x):\n    f'{x}'\n    return [x, f'{x}']\n",
        "def g(x):\n    return [x, f'{x}']\n",
    ],
)
def test_everything_else_counts(other):
    assert source_hash(other.encode()) != source_hash(PLAIN.encode())


def test_the_same_letters_in_another_encoding_are_the_same():
    latin = "# coding: latin-1\nx = 'é'\n".encode("latin-1")
    assert source_hash(latin) == source_hash("x = 'é'\n".encode())


@pytest.mark.parametrize("source", [b"def f(:\n", b"x = '\xff'\n", b"\0\xff", b"# coding: nope\n"])
def test_what_is_no_python_has_a_hash_too(source):
    assert len(source_hash(source)) == 16
    assert source_hash(source) != source_hash(source + b" ")
