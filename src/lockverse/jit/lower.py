"""Compiles functions written in the dialect to LLVM IR text.

The functions asked for get the C ABI, `i64 f(i64, ...)`; those they call are emitted as internal ones, always inlined.
Variables live in allocas, which LLVM's SROA turns into registers. Names of a function's module are constants, known when
compiling (`constants` overrides them, so that one text serves several sizes), and an `if` on a constant leaves the other
branch out. A function that ends without `return` gives 0.
Left out: recursion, more than one target in an assignment, chained comparisons, `and`/`or` as anything but truth.
"""

from __future__ import annotations

import ast
import functools
import linecache
import operator
import types
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct, field

from . import dialect
from .primitives import ARITY, CALL_ARGUMENTS, DECLARATIONS, EMITTERS, PURE, Block

OPERATIONS: dict[type[ast.operator], tuple[str, Callable[[int, int], int]]] = {
    ast.Add: ("add", operator.add),
    ast.Sub: ("sub", operator.sub),
    ast.Mult: ("mul", operator.mul),
    ast.BitAnd: ("and", operator.and_),
    ast.BitOr: ("or", operator.or_),
    ast.BitXor: ("xor", operator.xor),
    ast.LShift: ("shl", operator.lshift),
    ast.RShift: ("ashr", operator.rshift),
    ast.FloorDiv: ("sdiv", operator.floordiv),
    ast.Mod: ("srem", operator.mod),
}
COMPARISONS: dict[type[ast.cmpop], tuple[str, Callable[[int, int], bool]]] = {
    ast.Eq: ("eq", operator.eq),
    ast.NotEq: ("ne", operator.ne),
    ast.Lt: ("slt", operator.lt),
    ast.LtE: ("sle", operator.le),
    ast.Gt: ("sgt", operator.gt),
    ast.GtE: ("sge", operator.ge),
}
UNARY: dict[type[ast.unaryop], Callable[[int], int]] = {
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
LONGEST_UNROLLED = 64  # a longer loop is a mistake: it should be a `range`


class NotInDialect(Exception):
    """The text of a program of ours is not in the dialect: a mistake of ours, not of a scheme."""


@functools.lru_cache(maxsize=64)
def _definitions(path: str) -> dict[int, ast.FunctionDef]:
    """The functions of a file by their first line, decorators counted."""
    tree = ast.parse("".join(linecache.getlines(path)), path)
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            found[min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])] = node
    return found


def lower(
    functions: Iterable[Callable[..., int]], constants: Mapping[str, int] | None = None, instead: Mapping[str, Callable[..., int]] | None = None
) -> str:
    """LLVM IR text of a module that exports the functions by their names. `instead`: what is called in place of the functions
    of these names."""
    module = _Module(constants or {}, instead or {})
    for function in functions:
        module.emit(function, exported=True)
    return "\n".join([DECLARATIONS, *module.texts])


class _Module(Struct):
    constants: Mapping[str, int]
    instead: Mapping[str, Callable[..., int]]
    texts: list[str] = field(default_factory=list)
    internal: dict[str, Callable[..., object]] = field(default_factory=dict)  # by name
    open: list[Callable[..., object]] = field(default_factory=list)  # being emitted, to see recursion

    def emit(self, function: Callable[..., object], exported: bool) -> None:
        assert isinstance(function, types.FunctionType)
        path = function.__code__.co_filename
        node = _definitions(path).get(function.__code__.co_firstlineno)
        if node is None:
            raise NotInDialect(f"{path}: no source text of {function.__name__}")
        self.open.append(function)
        self.texts.append(_Function(self, node, path, function.__globals__).text(exported))
        self.open.pop()

    def called(self, function: types.FunctionType, where: str) -> None:
        """See that a function is there to be called."""
        known = self.internal.setdefault(function.__name__, function)
        if function in self.open:
            raise NotInDialect(f"{where}: {function.__name__} calls itself")
        if known is not function:
            raise NotInDialect(f"{where}: two functions are called {function.__name__}")


class _Function(Struct):
    module: _Module
    node: ast.FunctionDef
    path: str
    names: Mapping[str, object]
    block: Block = field(default_factory=Block)
    variables: dict[str, None] = field(default_factory=dict)  # in order of appearance
    fixed: dict[str, int] = field(default_factory=dict)  # loop variables of unrolled loops around us
    loops: list[tuple[str, str]] = field(default_factory=list)  # where `continue` and `break` go
    labels: int = 0
    ended: bool = False  # the block has its branch or return: nothing can follow

    def text(self, exported: bool) -> str:
        arguments = self.node.args
        if arguments.defaults or arguments.vararg or arguments.kwonlyargs or arguments.kwarg or arguments.posonlyargs:
            raise self.fault(self.node, "plain parameters only")
        parameters = [argument.arg for argument in arguments.args]
        self.variables = dict.fromkeys(parameters)
        loops = [node for node in ast.walk(self.node) if isinstance(node, ast.For) and self.unrolls(node)]
        fixed = {node.target.id for node in loops if isinstance(node.target, ast.Name)}
        for node in ast.walk(self.node):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in fixed:
                self.variables[node.id] = None
        self.body(self.node.body)
        if not self.ended:
            self.block.do("ret i64 0")
        head = ", ".join(f"i64 %{name}" for name in parameters)
        if exported:
            lines = [f"define i64 @{self.node.name}({head}) nounwind {{", "entry:"]
        else:
            lines = [f"define internal i64 @.{self.node.name}({head}) alwaysinline nounwind {{", "entry:"]
        lines += [f"  %v.{name} = alloca i64" for name in self.variables]
        lines += [f"  store i64 %{name}, ptr %v.{name}" for name in parameters]
        return "\n".join([*lines, *self.block.lines, "}", ""])

    def fault(self, node: ast.AST, message: str) -> NotInDialect:
        return NotInDialect(f"{self.path}:{getattr(node, 'lineno', 0)}: {message}")

    # Statements

    def body(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if self.ended:
                return
            method = getattr(self, f"do_{type(statement).__name__.lower()}", None)
            if method is None:
                raise self.fault(statement, f"the dialect has no {type(statement).__name__}")
            method(statement)

    def do_pass(self, node: ast.Pass) -> None:
        pass

    def do_expr(self, node: ast.Expr) -> None:
        if not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
            self.value(node.value)

    def do_assign(self, node: ast.Assign) -> None:
        if len(node.targets) != 1:
            raise self.fault(node, "one target only")
        self.assign(node.targets[0], self.value(node.value))

    def do_augassign(self, node: ast.AugAssign) -> None:
        assert isinstance(node.target, ast.expr)
        if not isinstance(node.target, ast.Name):
            raise self.fault(node, "only names are assigned to")
        old = self.value(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target))
        self.assign(node.target, self.operation(node, node.op, old, self.value(node.value)))

    def assign(self, target: ast.expr, value: str) -> None:
        if not isinstance(target, ast.Name):
            raise self.fault(target, "only names are assigned to")
        if target.id not in self.variables:
            raise self.fault(target, f"{target.id} is the variable of an unrolled loop")
        self.block.do(f"store i64 {value}, ptr %v.{target.id}")

    def do_return(self, node: ast.Return) -> None:
        self.block.do(f"ret i64 {self.value(node.value) if node.value else '0'}")
        self.ended = True

    def do_if(self, node: ast.If) -> None:
        known = self.constant(node.test)
        if known is not None:
            self.body(node.body if known else node.orelse)
            return
        yes, no, after = self.new_label(), self.new_label(), self.new_label()
        self.branch(node.test, yes, no if node.orelse else after)
        self.label(yes)
        self.body(node.body)
        self.jump(after)
        if node.orelse:
            self.label(no)
            self.body(node.orelse)
            self.jump(after)
        self.label(after)

    def do_while(self, node: ast.While) -> None:
        if node.orelse:
            raise self.fault(node, "the dialect has no else of a loop")
        test, inside, after = self.new_label(), self.new_label(), self.new_label()
        self.label(test)
        self.branch(node.test, inside, after)
        self.label(inside)
        self.loop(node.body, test, after)
        self.jump(test)
        self.label(after)

    def loop(self, body: Sequence[ast.stmt], again: str, after: str) -> None:
        self.loops.append((again, after))
        self.body(body)
        self.loops.pop()

    def do_break(self, node: ast.Break) -> None:
        self.jump(self.loops[-1][1])

    def do_continue(self, node: ast.Continue) -> None:
        self.jump(self.loops[-1][0])

    def do_for(self, node: ast.For) -> None:
        call, target = node.iter, node.target
        if node.orelse or not isinstance(target, ast.Name) or not isinstance(call, ast.Call) or call.keywords:
            raise self.fault(node, "loops are `for name in range(...)` and `for name in unrolled(n)`")
        if self.unrolls(node):
            self.unroll(node, target.id, call)
        elif isinstance(call.func, ast.Name) and call.func.id == "range" and 1 <= len(call.args) <= 3:
            self.count(node, target, call.args)
        else:
            raise self.fault(node, "loops are over `range` and `unrolled`")

    def unrolls(self, node: ast.For) -> bool:
        call = node.iter
        named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        return named and self.names.get(call.func.id) is dialect.unrolled  # type: ignore[attr-defined]  # seen just now

    def unroll(self, node: ast.For, name: str, call: ast.Call) -> None:
        bound = self.constant(call.args[0]) if len(call.args) == 1 else None
        if bound is None or bound > LONGEST_UNROLLED:
            raise self.fault(node, f"`unrolled` takes one number known when compiling, at most {LONGEST_UNROLLED}")
        if name in self.variables or name in self.fixed:
            raise self.fault(node, f"{name} is a variable elsewhere")
        after = self.new_label()
        for index in range(bound):
            following = self.new_label()
            self.fixed[name] = index
            self.loop(node.body, following, after)
            self.label(following)
        self.fixed.pop(name, None)
        self.label(after)

    def count(self, node: ast.For, target: ast.Name, arguments: Sequence[ast.expr]) -> None:
        """A loop over a range: the counter is a variable of its own, as in Python."""
        step = self.constant(arguments[2]) if len(arguments) == 3 else 1
        if not step:
            raise self.fault(node, "the step is a number known when compiling, not 0")
        first = self.value(arguments[0]) if len(arguments) > 1 else "0"
        last = self.value(arguments[min(1, len(arguments) - 1)])
        test, inside, again, after = (self.new_label() for _ in range(4))
        counter = f".{test}"
        self.variables[counter] = None
        self.block.do(f"store i64 {first}, ptr %v.{counter}")
        self.label(test)
        now = self.block.op(f"load i64, ptr %v.{counter}")
        more = self.block.op(f"icmp {'slt' if step > 0 else 'sgt'} i64 {now}, {last}")
        self.block.do(f"br i1 {more}, label %{inside}, label %{after}")
        self.ended = True
        self.label(inside)
        self.assign(target, now)
        self.loop(node.body, again, after)
        self.label(again)
        now = self.block.op(f"load i64, ptr %v.{counter}")
        self.block.do(f"store i64 {self.block.binary('add', now, str(step))}, ptr %v.{counter}")
        self.jump(test)
        self.label(after)

    # Blocks

    def new_label(self) -> str:
        self.labels += 1
        return f"b{self.labels}"

    def label(self, name: str) -> None:
        self.jump(name)
        self.block.lines.append(f"{name}:")
        self.ended = False

    def jump(self, name: str) -> None:
        if not self.ended:
            self.block.do(f"br label %{name}")
        self.ended = True

    def branch(self, test: ast.expr, yes: str, no: str) -> None:
        """Go to one of two labels."""
        known = self.constant(test)
        if known is not None:
            self.jump(yes if known else no)
        elif isinstance(test, ast.BoolOp):
            for part in test.values[:-1]:
                next_part = self.new_label()
                if isinstance(test.op, ast.And):
                    self.branch(part, next_part, no)
                else:
                    self.branch(part, yes, next_part)
                self.label(next_part)
            self.branch(test.values[-1], yes, no)
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            self.branch(test.operand, no, yes)
        else:
            bit = self.comparison(test) if isinstance(test, ast.Compare) else self.block.op(f"icmp ne i64 {self.value(test)}, 0")
            self.block.do(f"br i1 {bit}, label %{yes}, label %{no}")
            self.ended = True

    # Expressions

    def constant(self, node: ast.expr) -> int | None:
        """The value, if it is known when compiling."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, int) else None
        if isinstance(node, ast.Name):
            return self.constant_name(node.id)
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
            pair = self.constants((node.left, node.right))
            return None if pair is None else OPERATIONS[type(node.op)][1](*pair)
        if isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
            alone = self.constants((node.operand,))
            return None if alone is None else int(UNARY[type(node.op)](*alone))
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
            pair = self.constants((node.left, node.comparators[0]))
            return None if pair is None else int(COMPARISONS[type(node.ops[0])][1](*pair))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and self.names.get(node.func.id) in PURE:
            known = self.constants(node.args)
            return None if known is None else getattr(dialect, node.func.id)(*known)
        return None

    def constants(self, nodes: Sequence[ast.expr]) -> list[int] | None:
        found = [value for node in nodes if (value := self.constant(node)) is not None]
        return found if len(found) == len(nodes) else None

    def constant_name(self, name: str) -> int | None:
        if name in self.fixed:
            return self.fixed[name]
        if name in self.variables:
            return None
        value = self.module.constants.get(name, self.names.get(name))
        return int(value) if isinstance(value, int) else None

    def value(self, node: ast.expr) -> str:
        known = self.constant(node)
        if known is not None:
            if not -dialect.SIGN <= known < dialect.SIGN:
                raise self.fault(node, f"{known} is not a signed 64-bit number")
            return str(known)
        if isinstance(node, ast.Name):
            if node.id not in self.variables:
                raise self.fault(node, f"{node.id} is no variable and no constant")
            return self.block.op(f"load i64, ptr %v.{node.id}")
        if isinstance(node, ast.BinOp):
            return self.operation(node, node.op, self.value(node.left), self.value(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Invert):
            start, name = ("0", "sub") if isinstance(node.op, ast.USub) else ("-1", "xor")
            return self.block.binary(name, start, self.value(node.operand))
        if isinstance(node, ast.Compare):
            return self.block.number(self.comparison(node))
        if isinstance(node, ast.UnaryOp | ast.BoolOp) and self.is_truth(node):
            return self.chosen(node, lambda: "1", lambda: "0")
        if isinstance(node, ast.IfExp):
            choice = node
            return self.chosen(node.test, lambda: self.value(choice.body), lambda: self.value(choice.orelse))
        if isinstance(node, ast.Call):
            return self.call(node)
        raise self.fault(node, f"the dialect has no {type(node).__name__} here")

    def is_truth(self, node: ast.expr) -> bool:
        """Is it 0 or 1, in Python as well? There `a and b` is one of its operands."""
        if isinstance(node, ast.BoolOp):
            return all(self.is_truth(part) for part in node.values)
        return isinstance(node, ast.Compare) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))

    def chosen(self, test: ast.expr, one: Callable[[], str], other: Callable[[], str]) -> str:
        yes, no, after = self.new_label(), self.new_label(), self.new_label()
        result = f".{after}"
        self.variables[result] = None
        self.branch(test, yes, no)
        for label, made in ((yes, one), (no, other)):
            self.label(label)
            self.block.do(f"store i64 {made()}, ptr %v.{result}")
            self.jump(after)
        self.label(after)
        return self.block.op(f"load i64, ptr %v.{result}")

    def operation(self, node: ast.AST, op: ast.operator, a: str, b: str) -> str:
        if type(op) not in OPERATIONS:
            raise self.fault(node, f"the dialect has no {type(op).__name__}")
        name = OPERATIONS[type(op)][0]
        result = self.block.binary(name, a, b)
        if not isinstance(op, ast.FloorDiv | ast.Mod):
            return result
        # Python rounds down where the machine rounds to zero: one off if there is a remainder of the other sign.
        rest = result if name == "srem" else self.block.binary("srem", a, b)
        left = self.block.op(f"icmp ne i64 {rest}, 0")
        signs = self.block.op(f"icmp slt i64 {self.block.binary('xor', rest, b)}, 0")
        off = self.block.op(f"and i1 {left}, {signs}")
        moved = self.block.binary("add", result, b if name == "srem" else "-1")
        return self.block.op(f"select i1 {off}, i64 {moved}, i64 {result}")

    def comparison(self, node: ast.Compare) -> str:
        if len(node.ops) != 1 or type(node.ops[0]) not in COMPARISONS:
            raise self.fault(node, "one comparison at a time, of numbers")
        left, right = self.value(node.left), self.value(node.comparators[0])
        return self.block.op(f"icmp {COMPARISONS[type(node.ops[0])][0]} i64 {left}, {right}")

    def call(self, node: ast.Call) -> str:
        if not isinstance(node.func, ast.Name) or node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.fault(node, "calls are of names, with plain arguments")
        name = node.func.id
        function = self.module.instead.get(name, self.names.get(name))
        if name in ("min", "max") and function is None and len(node.args) == 2:
            a, b = (self.value(argument) for argument in node.args)
            bit = self.block.op(f"icmp {'sle' if name == 'min' else 'sge'} i64 {a}, {b}")
            return self.block.op(f"select i1 {bit}, i64 {a}, i64 {b}")
        if not isinstance(function, types.FunctionType) or function is dialect.unrolled:
            raise self.fault(node, f"{name} is no function of the dialect")
        wanted = ARITY.get(function, function.__code__.co_argcount)
        if len(node.args) not in (range(1, 2 + CALL_ARGUMENTS) if function is dialect.call else (wanted,)):
            raise self.fault(node, f"wrong number of arguments for {name}")
        arguments = [self.value(argument) for argument in node.args]
        if function in EMITTERS:
            return EMITTERS[function](self.block, *arguments)
        new = function.__name__ not in self.module.internal
        self.module.called(function, f"{self.path}:{node.lineno}")
        if new:
            self.module.emit(function, exported=False)
        return self.block.op(f"call i64 @.{function.__name__}({', '.join(f'i64 {argument}' for argument in arguments)})")
