"""The codes of all diagnostics, one line each; docs/errors.md has a section a code, held equal by test.

K0: files and scenes. K1: outside the language. K2: names. K3: types and calls. K4: workloads. K9: ours. A code is never reused.
Leaves out the wording of each case: that stands where it is found.
"""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    "K001": "the file is not Python",
    "K002": "the file cannot be read",
    "K003": "no scheme in the file",
    "K004": "no scheme of that name",
    "K005": "the scheme runs nothing",
    "K006": "the file raised while it was loaded, or the scheme while its scene was built",
    "K007": "a scheme's parameter has no such value",
    "K008": "what the scene hands over is not part of the language",
    "K101": "a statement outside the language",
    "K102": "an expression outside the language",
    "K103": "a value outside the language",
    "K104": "a function outside the language",
    "K105": "a function that calls itself",
    "K106": "an operator outside the language",
    "K107": "a kind of function outside the language",
    "K201": "an unknown name",
    "K202": "an unknown field",
    "K203": "an unknown member of an enum",
    "K204": "a variable used before it has a value",
    "K205": "a variable whose type cannot be told",
    "K301": "a value of the wrong type",
    "K302": "a call that does not fit its function",
    "K303": "a call of something that is not a function",
    "K304": "something that cannot be assigned",
    "K305": "a property that writes",
    "K306": "a constant out of range",
    "K307": "a path that returns nothing where a value is needed",
    "K308": "something that is not a place in memory",
    "K309": "a loop over something that is not a range or an array",
    "K310": "a type that is not one",
    "K311": "a rest() that does not say where",
    "K312": "a patch that does not fit what it replaces",
    "K313": "kmalloc() or kfree() of a struct without a pool",
    "K401": "an unknown operation",
    "K402": "an operation written in another way",
    "K403": "not a number, or one out of range",
    "K404": "not a name",
    "K405": "which version of cgroups",
    "K406": "an operation on what is not there",
    "K407": "a name that is taken",
    "K408": "pages that a region does not have",
    "K900": "a fault of lockverse itself",
}
