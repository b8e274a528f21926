#!/usr/bin/env python3
"""Makes DIR/mesos-master, DIR/mesos-agent and DIR/mesos-containerizer: Apache Mesos 1.11.0, runnable; and
DIR/mesos-resources, which answers questions about its class `Resources`.

    python3 setup.py DIR

Of what is finished in DIR, nothing is done again but programs that are older than their
sources. See README.md for what must be installed.
"""
import collections
import hashlib
import pathlib
import re
import subprocess
import sys
import tarfile
import venv

PROJECT, VERSION = "mesos.scheduler", "1.11.0"
ARCHIVE = f"{PROJECT}-{VERSION}.linux-x86_64.tar.gz"
SHA256 = "1d376f20bca6d05ee8b90c1c123a452b28753497ccc2f1c80ea3ac94c12e8f6e"
HERE = pathlib.Path(__file__).resolve().parent
# Stubs answer 0; the callers of these give up unless they see 1.
RETURN_ONE = {"RAND_poll", "SSL_library_init", "CRYPTO_num_locks"}


def run(*command):
    subprocess.run([str(c) for c in command], check=True)


def download(dest):
    """Fetches the archive from the Python package index, whichever pip is set up to use."""
    env = dest / "venv"
    venv.create(env, with_pip=True)
    run(env / "bin/pip", "install", "-q", "pypi-simple")
    run(env / "bin/python", "-c", (
        "import sys; from pypi_simple import PyPISimple\n"
        "project, archive, path = sys.argv[1:]\n"
        "with PyPISimple() as client:\n"
        "    page = client.get_project_page(project)\n"
        "    client.download_package(next(p for p in page.packages if p.filename == archive), path=path)\n"
    ), PROJECT, ARCHIVE, dest / ARCHIVE)


def stub(dest, name, soname, versions):
    """A shared library of functions that do nothing, under the symbol versions for which the module looks."""
    functions = sorted(set().union(*versions.values()))
    (dest / f"{name}.c").write_text("".join(
        f"long {f}(void) {{ return {int(f in RETURN_ONE)}; }}\n" if not f.startswith(("PyExc_", "_Py_None"))
        else f"void *{f}[16];\n" for f in functions))
    script, base = "", ""
    for version in sorted(versions):
        exported = "".join(f" {f};" for f in sorted(versions[version]))
        script += f"{version} {{ global:{exported or ' unused;'}{'' if base else ' local: *;'} }}{base};\n"
        base = f" {version}"
    (dest / f"{name}.map").write_text(script)
    link = [f"-Wl,--version-script,{dest / name}.map"] if all(versions) else []
    run("gcc", "-w", "-fno-builtin", "-shared", "-fPIC", f"-Wl,-soname,{soname}", *link,
        "-o", dest / soname, dest / f"{name}.c")


def stubs(dest):
    """Stands in for the old OpenSSL and curl against which the module was built, and for Python: none is needed here."""
    table = subprocess.run(["readelf", "--dyn-syms", "-W", dest / "_scheduler.so"],
                           check=True, capture_output=True, text=True).stdout
    wanted, python = collections.defaultdict(lambda: collections.defaultdict(set)), set()
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 8 or fields[6] != "UND":
            continue
        if m := re.match(r"(\w+)@((OPENSSL|CURL)_\S+)", fields[7]):
            function, version, library = m.groups()
            if library == "OPENSSL":
                library = "ssl" if re.match(r"SSL_|SSLv|TLS", function) else "crypto"
            wanted[library][version].add(function)
        elif re.match(r"_?Py", fields[7]):
            python.add(fields[7])
    for version in ("OPENSSL_1.0.0", "OPENSSL_1.0.1", "OPENSSL_1.0.2"):
        wanted["ssl"].setdefault(version, set())
    stub(dest, "ssl", "libssl.so.1.0.0", wanted["ssl"])
    stub(dest, "crypto", "libcrypto.so.1.0.0", wanted["crypto"])
    stub(dest, "curl", "libcurl.so.4", wanted["CURL"])
    stub(dest, "python", "libpython-stub.so", {"": python})


def compile_programs(dest):
    """Those that are missing or older than their sources; in place of one that may be running."""
    for name in ("mesos_host", "mesos_resources"):
        program, source = dest / name.replace("_", "-"), HERE / f"{name}.cpp"
        if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
            continue
        new = program.with_suffix(".new")
        run("g++", "-O1", "-rdynamic", "-pthread", "-Wl,--disable-new-dtags,-rpath,$ORIGIN", "-o", new, source, "-ldl")
        new.replace(program)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    dest = pathlib.Path(sys.argv[1]).resolve()
    if (dest / "mesos-agent").exists():
        compile_programs(dest)
        return
    dest.mkdir(parents=True, exist_ok=True)
    if not (dest / ARCHIVE).exists():
        download(dest)
    if hashlib.sha256((dest / ARCHIVE).read_bytes()).hexdigest() != SHA256:
        (dest / ARCHIVE).unlink()
        sys.exit(f"{ARCHIVE} has another SHA-256 than the archive for which this is written")
    with tarfile.open(dest / ARCHIVE) as archive:
        member = next(m for m in archive if m.name.endswith("/_scheduler.so"))
        with archive.extractfile(member) as module, open(dest / "_scheduler.so", "wb") as target:
            while block := module.read(1 << 20):
                target.write(block)
    stubs(dest)
    compile_programs(dest)
    for role in ("mesos-containerizer", "mesos-master", "mesos-agent"):
        link = dest / role
        link.unlink(missing_ok=True)
        link.symlink_to("mesos-host")
    print(f"Apache Mesos {VERSION} is ready in {dest}")


if __name__ == "__main__":
    main()
