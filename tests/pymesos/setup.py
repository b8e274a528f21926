#!/usr/bin/env python3
"""Installs pymesos, a Mesos library that nobody here wrote, into a virtual environment.

    python3 tests/pymesos/setup.py DIR      (needs gcc; running it again on a finished DIR does nothing)

Its dependency http-parser ships C code made by a Cython too old for today's Python, so that is made anew.
"""
import pathlib
import subprocess
import sys
import tarfile
import venv

PYMESOS, HTTP_PARSER = "pymesos==0.3.15", "http-parser==0.9.0"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    dest = pathlib.Path(sys.argv[1]).resolve()
    python = dest / "bin/python"

    def run(*command, cwd=None):
        subprocess.run([str(part) for part in command], check=True, cwd=cwd)

    if python.exists() and subprocess.run([python, "-c", "import pymesos"], capture_output=True).returncode == 0:
        return
    venv.create(dest, with_pip=True, clear=True)
    pip = [python, "-m", "pip", "-q"]
    run(*pip, "install", "cython<4", "setuptools", "wheel")
    sources = dest / "sources"
    run(*pip, "download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", HTTP_PARSER, "-d", sources)
    with tarfile.open(next(sources.glob("*.tar.gz"))) as archive:
        archive.extractall(sources)
    source = next(path for path in sources.iterdir() if path.is_dir())
    run(dest / "bin/cython", "-3", "http_parser/parser.pyx", cwd=source)
    run(*pip, "install", "--no-build-isolation", source)
    run(*pip, "install", PYMESOS)
    print(f"{PYMESOS} is ready in {dest}")


if __name__ == "__main__":
    main()
