"""Makes the Python code of the protos, for the server and for the client: `python protos/generate.py [--check]`.

The compiler lives in an environment of its own (protos/.venv), because it pins an old protobuf.
"""

from __future__ import annotations

import argparse
import filecmp
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

# The oldest compiler that knows what we use: its output runs on protobuf 5.27-7 and grpcio 1.66 and later,
# while code made by today's compiler refuses protobuf 6.
COMPILER = "grpcio-tools==1.66.2"
HERE = Path(__file__).resolve().parent
TARGETS = {
    "candelabra.v1": HERE.parent / "server" / "candelabra" / "v1",
    "candelabra_client.v1": HERE.parent / "clients" / "python" / "candelabra_client" / "v1",
}
INIT = '"""Generated from protos/candelabra/v1 by `make protos`. Do not edit."""\n'


def compiler() -> Path:
    """The Python that has the compiler; its environment is made on first use and when the pin changes."""
    home = HERE / ".venv"
    python = home / "bin" / "python"
    stamp = home / COMPILER
    if not stamp.exists():
        # This interpreter's pip fills it: where ensurepip is missing (Debian's python3-venv), venv cannot.
        venv.create(home, clear=True, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", COMPILER], check=True)
        stamp.touch()
    return python


def compile_protos(out: Path) -> Path:
    """Runs the compiler on every proto; the folder of the Python files below `out`."""
    protos = sorted(str(path.relative_to(HERE)) for path in (HERE / "candelabra" / "v1").glob("*.proto"))
    outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([compiler(), "-m", "grpc_tools.protoc", "-I.", *outputs, *protos], cwd=HERE, check=True)
    return out / "candelabra" / "v1"


def rehome(source: str, package: str) -> str:
    """The generated `source` as a module of `package`. Descriptors keep their file names: both packages can
    be imported into one process, because the descriptor pool takes an identical file twice."""
    source = re.sub(r"^from candelabra\.v1 import ", f"from {package} import ", source, flags=re.MULTILINE)
    return re.sub(r"(_globals\)|DESCRIPTOR), 'candelabra\.v1\.", rf"\1, '{package}.", source)


def generate(targets: dict[str, Path]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        made = compile_protos(Path(scratch))
        for package, folder in targets.items():
            folder.mkdir(parents=True, exist_ok=True)
            for old in (*folder.glob("*.py"), *folder.glob("*.pyi")):
                old.unlink()
            (folder / "__init__.py").write_text(INIT)
            for path in sorted(made.iterdir()):
                source = path.read_text()
                if not path.name.endswith("_grpc.py") or "class " in source:  # no empty file where there is no service
                    (folder / path.name).write_text(rehome(source, package))


def stale() -> list[str]:
    """The committed files that differ from what the protos give now."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = {package: Path(scratch) / package for package in TARGETS}
        generate(fresh)
        differing: list[str] = []
        for package, folder in TARGETS.items():
            names = {path.name for home in (folder, fresh[package]) for path in home.glob("*.py*")}
            _, mismatched, missing = filecmp.cmpfiles(folder, fresh[package], sorted(names), shallow=False)
            differing += [str(folder / name) for name in mismatched + missing]
        return differing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is out of date")
    if not parser.parse_args().check:
        generate(TARGETS)
        return 0
    for name in (differing := stale()):
        sys.stderr.write(f"{name} is out of date: run `make protos` and commit the result.\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
