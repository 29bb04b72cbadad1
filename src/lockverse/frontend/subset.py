"""What of Python is outside the language, by the name of its syntax node: what it is called, and what to write instead.

Everything the walks do not know is looked up here; what is not here either is rejected by its Python name.
"""

from __future__ import annotations

import ast
from typing import Final

STATEMENTS: Final[dict[type[ast.AST], tuple[str, str]]] = {
    ast.Try: ("try", "return an error code, as the kernel does: there are no exceptions"),
    ast.TryStar: ("try", "return an error code, as the kernel does: there are no exceptions"),
    ast.Raise: ("raise", "return an error code, or use BUG_ON(...) for what must not happen"),
    ast.FunctionDef: ("a nested function", "define the function at the top of the file and pass it what it needs"),
    ast.AsyncFunctionDef: ("async", "a CPU runs a plain function: `def`"),
    ast.AsyncFor: ("async", "use a plain `for`"),
    ast.AsyncWith: ("async", "use a plain `with`"),
    ast.ClassDef: ("a nested class", "declare the @struct at the top of the file"),
    ast.Delete: ("del", "set the pointer to NULL"),
    ast.Global: ("global", "put the value in a field of a @struct object that the file creates at its top"),
    ast.Nonlocal: ("nonlocal", "put the value in a field of a @struct object and pass that"),
    ast.Import: ("import inside a function", "import at the top of the file"),
    ast.ImportFrom: ("import inside a function", "import at the top of the file"),
    ast.Match: ("match", "use if/elif/else"),
}

EXPRESSIONS: Final[dict[type[ast.AST], tuple[str, str]]] = {
    ast.Dict: ("dict", "use an array[TYPE, LENGTH], or a field of the struct that owns it"),
    ast.DictComp: ("a comprehension", "use a for loop over an array"),
    ast.Set: ("set", "use an array[bool, LENGTH], or bits of an integer"),
    ast.SetComp: ("a comprehension", "use a for loop over an array"),
    ast.List: ("list", "use an array[TYPE, LENGTH] in a struct, or one made in the scheme"),
    ast.ListComp: ("a comprehension", "use a for loop over an array"),
    ast.GeneratorExp: ("a generator", "use a for loop over an array"),
    ast.Lambda: ("lambda", "define the function at the top of the file"),
    ast.Await: ("await", "a CPU runs a plain function; to wait for a condition, loop or use a lock"),
    ast.Yield: ("yield", "a CPU runs a plain function"),
    ast.YieldFrom: ("yield", "a CPU runs a plain function"),
    ast.JoinedStr: ("an f-string", "messages are plain strings; values are shown in the trace"),
    ast.Starred: ("*", "write the arguments out"),
    ast.Slice: ("a slice", "use a for loop over the indices"),
}

OPERATORS: Final[dict[type[ast.AST], tuple[str, str]]] = {
    ast.Div: ("/", "integers are divided by `//`"),
    ast.Pow: ("**", "multiply, or shift: `1 << n`"),
    ast.MatMult: ("@", "write the arithmetic out"),
    ast.In: ("in", "compare with each: `x == a or x == b`"),
    ast.NotIn: ("not in", "compare with each: `x != a and x != b`"),
}
