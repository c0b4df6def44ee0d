"""Check that code compiled for AVX2 or AVX-512 cannot be linked in place of portable code.

Each CPU kernel is compiled once per instruction set. The linker keeps one copy of every weak symbol (templates, inline
functions), from whichever object file comes first: a weak symbol that an AVX-512 object shares with a portable one
would crash an older processor. So each weak symbol of such an object has to carry the namespace of its instruction set
in its name.

    python tools/check_isa_symbols.py BUILD_DIR
    python tools/check_isa_symbols.py build/CMakeFiles/pgtfast_cpu_avx2.dir/csrc/kernels/landmarks.cpp.o ...
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ISAS = ("avx2", "avx512")
WEAK = "WwVvu"
DATA_OF_THE_ABI = re.compile(r"^DW\.ref\.")
"""References to the exception personality, the same in every object."""


def leaked_symbols(path: Path, isa: str) -> list[str]:
    """Weak definitions of an object file that do not name the instruction set."""
    command = ["nm", "--defined-only", "--demangle", str(path)]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = (line.split(maxsplit=2) for line in listing.splitlines())
    weak = (row[2] for row in rows if len(row) == 3 and row[1] in WEAK)
    return [name for name in weak if f"pgt::{isa}::" not in name and not DATA_OF_THE_ABI.match(name)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "paths", nargs="+", type=Path, help="object files, or folders searched for those of the CPU kernels"
    )
    files = []
    for path in parser.parse_args().paths:
        files += sorted(path.rglob("*.o")) if path.is_dir() else [path]
    checked = leaks = 0
    for path in files:
        isa = next((i for i in ISAS if f"pgtfast_cpu_{i}.dir" in path.parts), None)
        if isa is None:
            continue
        checked += 1
        for name in leaked_symbols(path, isa):
            leaks += 1
            print(f"{path}: weak symbol outside pgt::{isa}: {name}", file=sys.stderr)
    if not checked:
        print("no object file of pgtfast_cpu_avx2 or pgtfast_cpu_avx512 found; give the build folder", file=sys.stderr)
        return 2
    print(f"{checked} object files checked, {leaks} weak symbols outside their namespace")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
