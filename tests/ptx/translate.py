"""PTX to C++: each kernel becomes a function that one thread runs from start to end, every access to memory a call of
runtime.h.

What nvcc made of the kernels is so run and checked without a GPU: contraction to fused multiply-adds, vector loads and
the addresses themselves, which
the C++ source compiled for the host does not show. Only the instructions that the project's kernels need are known; any
other is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

TYPES = {
    "pred": "bool",
    "b8": "uint8_t",
    "u8": "uint8_t",
    "s8": "int8_t",
    "b16": "uint16_t",
    "u16": "uint16_t",
    "s16": "int16_t",
    "b32": "uint32_t",
    "u32": "uint32_t",
    "s32": "int32_t",
    "b64": "uint64_t",
    "u64": "uint64_t",
    "s64": "int64_t",
    "f32": "float",
    "f64": "double",
}
FLOATS = ("f32", "f64")
SPECIAL = {"%tid.x": "now.thread", "%ntid.x": "now.threads", "%ctaid.x": "now.block_x", "%ctaid.y": "now.block_y"}
COMPARED = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^"}


class Place(NamedTuple):
    """An instruction that touches memory or waits."""

    kernel: str
    text: str


class Program:
    """All kernels of several PTX files as one C++ file."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.globals: list[str] = []
        self.functions: list[str] = []
        self.table: list[str] = []

    def place(self, kernel: str, text: str) -> int:
        """Number of an instruction, by which the runtime names it."""
        self.places.append(Place(kernel, text))
        return len(self.places) - 1

    def add(self, path: Path) -> None:
        """Translate the kernels of a file."""
        text = path.read_text()
        symbols = dict.fromkeys(re.findall(r"\.extern \.shared [^;]*?\.b8 ([\w$]+)\[\];", text), "0u")
        for name, values in re.findall(r"\.global \.align \d+ \.b8 ([\w$]+)\[\d+\] = \{([^}]*)\};", text):
            own = f"{path.stem}_{name}"
            self.globals.append(f"alignas(16) static const unsigned char {own}[] = {{{values}}};")
            self.globals.append(f"static const Known {own}_known({own}, sizeof {own});")
            symbols[name] = f"(uint64_t){own}"
        for name, parameters, directives, body in re.findall(
            r"\.entry ([\w$]+)\(\n(.*?)\n\)(.*?)\n\{\n(.*?)\n\}", text, re.S
        ):
            fixed, own = 0, dict(symbols)
            for array, size in re.findall(r"(?<!extern )\.shared \.align \d+ \.b8 ([\w$]+)\[(\d+)\];", text):
                if re.search(rf"{re.escape(array)}\b", body):
                    own[array], fixed = f"{fixed}u", fixed + -(-int(size) // 16) * 16
            if fixed and any(array in body for array, at in symbols.items() if at == "0u"):
                raise ValueError(
                    f"{path}: {name}: shared memory of fixed and of any size in one kernel is not known here"
                )
            kernel = Kernel(self, name, re.findall(r"[\w$]+_param_\d+", parameters), body, own)
            most = re.search(r"\.maxntid (\d+)", directives)
            number = len(self.table)
            row = f'"{"|".join(identifiers_of(name))}", run_{number}, {len(kernel.parameters)}'
            self.table.append(f"{{{row}, {most[1] if most else 1024}, {fixed}}}")
            lines = "\n  ".join((*kernel.declared, *kernel.lines))
            self.functions.append(f"static void run_{number}() {{  // {name}\n  {lines}\n}}")

    def write(self, path: Path) -> None:
        """The C++ of all that was added."""
        places = ",\n".join(f'{{"{kernel[-60:]}", "{text[:110]}"}}' for kernel, text in self.places)
        parts = (
            '#include "runtime.h"', *self.globals, *self.functions,
            f"const Kernel kernels[] = {{{', '.join(self.table)}}};", f"const int kernel_count = {len(self.table)};",
            f"const Place places[] = {{{places}}};",
        )  # fmt: skip
        path.write_text("\n".join(parts) + "\n")


def identifiers_of(mangled: str) -> list[str]:
    """Names in a mangled name: of the kernel, then of types that tell it from others of its template."""
    names, at = [], 0
    while match := re.compile(r"\d+").search(mangled, at):
        end = match.end() + int(match[0])
        name = mangled[match.end() : end]
        # a number that is a template's argument (ILi3E) is no length
        at = match.end() if mangled[: match.start()].endswith(("Li", "Lj", "Ll", "Lb")) else end
        if at == end and re.fullmatch(r"[A-Za-z_]\w*", name) and name != "pgt" and not name.startswith("_GLOBAL"):
            names.append(name)
    kernel = next(index for index, name in enumerate(names) if name.endswith("_kernel"))
    return [names[kernel], *(n for n in names[kernel + 1 :] if n[0].isupper() and n not in ("BodyInput", "BodyGrad"))]


class Kernel:
    """One kernel: declarations of its registers, and its instructions, as C++."""

    def __init__(self, program: Program, name: str, parameters: list[str], body: str, symbols: dict[str, str]) -> None:
        self.program, self.name, self.symbols = program, name, symbols
        self.parameters = {parameter: index for index, parameter in enumerate(parameters)}
        self.types: dict[str, str] = {}
        self.arrays = set(re.findall(r"\.local .*?\.b8\s+(\w+)\[", body))
        self.declared: list[str] = []
        self.lines: list[str] = []
        text = " ".join(line.split("//")[0].strip() for line in body.split("\n"))
        for statement in re.findall(r"\$[\w$]+:|[^;:]+?;", text):
            self._statement(statement.strip())

    def _statement(self, text: str) -> None:
        if text.endswith(":"):
            self.lines.append(f"{_label(text[:-1])}:;")
            return
        text = text[:-1].strip()
        if text.startswith(".reg"):
            kind, name, count = re.match(r"\.reg \.(\w+)\s+(%\w+)(?:<(\d+)>)?", text).groups()  # type: ignore[union-attr]
            names = [f"{name}{i}" for i in range(int(count))] if count else [name]
            self.types |= dict.fromkeys(names, kind)
            self.declared.append(f"{TYPES[kind]} {', '.join(f'{_register(n)}{{}}' for n in names)};")
        elif text.startswith(".local"):
            name, size = re.match(r"\.local \.align \d+ \.b8\s+(\w+)\[(\d+)\]", text).groups()  # type: ignore[union-attr]
            self.declared.append(f"alignas(16) char {name}[{size}];")
        elif text and not text.startswith((".pragma", ".shared")):
            self.lines.append(self._instruction(text))

    def _instruction(self, text: str) -> str:
        guard, whole = "", text
        if match := re.match(r"@(!?)(%p\d+)\s+(.*)", text):
            guard, text = f"if ({match[1]}{_register(match[2])}) ", match[3]
        name, _, rest = text.partition(" ")
        operands = [o.strip() for o in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s][^,]*", rest)]
        parts = name.split(".")
        emit: Callable[[list[str], list[str]], str] | None = getattr(self, f"_{parts[0]}", None)
        if emit is None:
            raise ValueError(f"{self.name}: unknown instruction: {whole}")
        self.text = whole
        return f"{guard}{{ {emit(parts, operands)} }}"

    # ---- operands
    def read(self, operand: str, kind: str) -> str:
        """An operand as a C++ expression of a type."""
        if operand in SPECIAL:
            return f"({TYPES[kind]}){SPECIAL[operand]}"
        if operand.startswith("%"):
            own = self.types[operand]
            if own == kind or (own not in FLOATS and kind not in FLOATS):
                return _register(operand) if own == kind else f"({TYPES[kind]})({_register(operand)})"
            return f"bits<{TYPES[kind]}>({_register(operand)})"
        if match := re.fullmatch(r"0[fF]([0-9a-fA-F]{8})", operand):
            return f"bits<float>(0x{match[1]}u)" if kind == "f32" else f"({TYPES[kind]})0x{match[1]}u"
        if match := re.fullmatch(r"0[dD]([0-9a-fA-F]{16})", operand):
            return f"bits<double>(0x{match[1]}ull)"
        if re.fullmatch(r"-?(\d+|0x[0-9a-fA-F]+)", operand):
            return f"({TYPES[kind]}){int(operand, 0) % 2**64}ull"
        if operand in self.parameters:
            return f"(uint64_t)now.parameters[{self.parameters[operand]}]"
        if operand in self.arrays:
            return f"(uint64_t){operand}"
        return self.symbols[operand]

    def write(self, register: str, expression: str, kind: str) -> str:
        """Put an expression of a type into a register."""
        own = self.types[register]
        if own == kind or (own not in FLOATS and kind not in FLOATS):
            return (
                f"{_register(register)} = {expression if own in ('pred', kind) else f'({TYPES[own]})({expression})'};"
            )
        return f"{_register(register)} = bits<{TYPES[own]}>({expression});"

    def _binary(self, parts: list[str], operands: list[str]) -> str:
        kind = parts[-1] if parts[-1] in FLOATS or parts[-1] == "pred" else "u" + parts[-1][1:]
        left, right = (self.read(o, kind) for o in operands[1:3])
        return self.write(operands[0], f"{left} {ARITHMETIC[parts[0]]} {right}", kind)

    _add = _sub = _and = _or = _xor = _binary

    # ---- control
    def _bra(self, parts: list[str], operands: list[str]) -> str:
        return f"goto {_label(operands[0])};"

    def _ret(self, parts: list[str], operands: list[str]) -> str:
        return "return;"

    def _bar(self, parts: list[str], operands: list[str]) -> str:
        return f"barrier({self.program.place(self.name, self.text)});"

    # ---- moves
    def _mov(self, parts: list[str], operands: list[str]) -> str:
        target, source = operands
        if target.startswith("{"):
            low, high = (o.strip() for o in target[1:-1].split(","))
            whole = f"const uint64_t whole = {self.read(source, 'b64')}; "
            return (
                whole + self.write(low, "(uint32_t)whole", "b32") + self.write(high, "(uint32_t)(whole >> 32)", "b32")
            )
        if source.startswith("{"):
            low, high = (self.read(o.strip(), "b32") for o in source[1:-1].split(","))
            return self.write(target, f"(uint64_t){low} | (uint64_t){high} << 32", "b64")
        return self.write(target, self.read(source, parts[-1]), parts[-1])

    def _cvta(self, parts: list[str], operands: list[str]) -> str:
        return self.write(operands[0], self.read(operands[1], "u64"), "u64")

    def _selp(self, parts: list[str], operands: list[str]) -> str:
        kind = parts[-1]
        yes, no = (self.read(o, kind) for o in operands[1:3])
        return self.write(operands[0], f"{_register(operands[3])} ? {yes} : {no}", kind)

    def _cvt(self, parts: list[str], operands: list[str]) -> str:
        to, source = parts[-2:]
        value = self.read(operands[1], source)
        if parts[1] == "rni":
            value = f"nearbyintf({value})"
        return self.write(operands[0], f"({TYPES[to]})({value})", to)

    # ---- memory
    def _memory(self, parts: list[str], operands: list[str]) -> str:
        load, space, kind = parts[0] == "ld", parts[1], parts[-1]
        registers, memory = (operands[0], operands[1]) if load else (operands[1], operands[0])
        names = [r.strip() for r in registers.strip("{}").split(",")]
        base, offset = re.fullmatch(r"\[([%\w$.]+)(?:\+(-?\d+))?\]", memory).groups()  # type: ignore[union-attr]
        size, shared = int(kind[1:]) // 8, space == "shared"
        kind_of_index = "uint32_t" if shared else "uint64_t"
        at = f"{self.read(base, 'u32' if shared else 'u64')} + ({kind_of_index}){int(offset or 0)}ll"
        out = [f"const auto at = {at};"]
        if space in ("shared", "global"):
            number = self.program.place(self.name, self.text)
            flags = "true" if "nc" in parts else "false"
            out.append(f"touch_{space}(at, {size * len(names)}, {'false' if load else 'true'}, {number}, {flags});")
        pointer = "shared_memory + at" if shared else "(char*)at"
        for index, name in enumerate(names):
            where = f"{pointer} + {index * size}"
            value = f"peek<{TYPES[kind]}>({where})"
            out.append(
                self.write(name, value, kind) if load else f"poke<{TYPES[kind]}>({where}, {self.read(name, kind)});"
            )
        return " ".join(out)

    _ld = _st = _memory

    # ---- arithmetic
    def _fma(self, parts: list[str], operands: list[str]) -> str:
        kind = parts[-1]
        return self.write(
            operands[0],
            f"{'fmaf' if kind == 'f32' else 'fma'}({', '.join(self.read(o, kind) for o in operands[1:])})",
            kind,
        )

    def _mul(self, parts: list[str], operands: list[str]) -> str:
        kind = parts[-1]
        if kind in FLOATS or parts[1] == "lo":
            result = kind if kind in FLOATS else "u" + kind[1:]
            left, right, *more = (self.read(o, result) for o in operands[1:])
            return self.write(operands[0], f"{left} * {right}" + "".join(f" + {m}" for m in more), result)
        wide = f"{kind[0]}{2 * int(kind[1:])}"
        left, right = (f"({TYPES[wide]}){self.read(o, kind)}" for o in operands[1:3])
        if parts[1] == "hi":
            return self.write(operands[0], f"({left} * {right}) >> {kind[1:]}", kind)
        more = f" + {self.read(operands[3], wide)}" if len(operands) > 3 else ""
        return self.write(operands[0], f"{left} * {right}{more}", wide)

    _mad = _mul

    def _div(self, parts: list[str], operands: list[str]) -> str:
        kind = parts[-1]
        left, right = (self.read(o, kind) for o in operands[1:3])
        whole = f"whole_{parts[0]}({left}, {right}, {self.program.place(self.name, self.text)})"
        return self.write(operands[0], f"{left} / {right}" if kind in FLOATS else whole, kind)

    _rem = _div

    def _unary(self, parts: list[str], operands: list[str]) -> str:
        kind = parts[-1]
        value = self.read(operands[1], kind)
        formula = {
            "rcp": "1.0f / {}",
            "sqrt": "sqrtf({})",
            "neg": "-{}",
            "abs": "fabsf({})",
            "not": "!{}" if kind == "pred" else "~{}",
        }[parts[0]]
        return self.write(operands[0], formula.format(value), kind)

    _rcp = _sqrt = _neg = _abs = _not = _unary

    def _copysign(self, parts: list[str], operands: list[str]) -> str:
        sign, size = (self.read(o, "f32") for o in operands[1:3])
        return self.write(operands[0], f"copysignf({size}, {sign})", "f32")

    def _least(self, parts: list[str], operands: list[str]) -> str:
        kind = parts[-1]
        left, right = (self.read(o, kind) for o in operands[1:3])
        if kind in FLOATS:
            return self.write(operands[0], f"f{parts[0]}f({left}, {right})", kind)
        return self.write(operands[0], f"{left} {'<' if parts[0] == 'min' else '>'} {right} ? {left} : {right}", kind)

    _min = _max = _least

    def _shift(self, parts: list[str], operands: list[str]) -> str:
        kind, bits = parts[-1], int(parts[-1][1:])
        by = self.read(operands[2], "u32")
        if parts[0] == "shl":
            return self.write(
                operands[0], f"{by} >= {bits} ? 0 : {self.read(operands[1], f'u{bits}')} << {by}", f"u{bits}"
            )
        value = self.read(operands[1], kind)
        beyond = f"({value} < 0 ? -1 : 0)" if kind[0] == "s" else "0"
        return self.write(
            operands[0], f"{by} >= {bits} ? ({TYPES[kind]}){beyond} : ({TYPES[kind]})({value} >> {by})", kind
        )

    _shl = _shr = _shift

    def _bfi(self, parts: list[str], operands: list[str]) -> str:
        kind, start, length = parts[-1], int(operands[3]), int(operands[4])
        mask = ((1 << length) - 1) << start
        field, rest = (self.read(o, kind) for o in operands[1:3])
        return self.write(operands[0], f"({rest} & ~{mask}ull) | (({field} << {start}) & {mask}ull)", kind)

    def _setp(self, parts: list[str], operands: list[str]) -> str:
        how, kind = parts[1], parts[-1]
        left, right = (self.read(o, kind) for o in operands[1:3])
        unordered = f"(isnan({left}) || isnan({right}))"
        if kind not in FLOATS:
            expression = f"{left} {COMPARED[how]} {right}"
        elif how == "nan":
            expression = unordered
        elif how.endswith("u"):
            expression = f"{unordered} || {left} {COMPARED[how[:-1]]} {right}"
        else:
            expression = f"!{unordered} && {left} {COMPARED[how]} {right}"
        return f"{_register(operands[0])} = {expression};"


def _register(name: str) -> str:
    return "r_" + name[1:].replace(".", "_")


def _label(name: str) -> str:
    return "l_" + name.replace("$", "_")
