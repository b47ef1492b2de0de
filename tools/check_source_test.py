"""check_source on small made-up trees: every rule must be able to fail."""
import importlib.machinery
import importlib.util
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
REAL = (HERE / "source_rules.txt").read_text()
RULES = "\n".join(line for line in REAL.splitlines() if not line.startswith(("allow", "longer")))


@pytest.fixture(scope="module")
def tool():
    loader = importlib.machinery.SourceFileLoader("check_source", str(HERE / "check_source"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_source", loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def faults(tool, tmp_path):
    def run(text, name="a.cpp", rules=RULES):
        path = tmp_path / "src/base" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return tool.check(tmp_path, tool.Rules(rules))
    return run


@pytest.mark.parametrize("line", [
    'std::system("rm");', "FILE* f = ::popen(x, y);", 'PQexec(c, "x");', "::waitpid(p, &s, 0);",
    "std::this_thread::sleep_for(1s);", "::usleep(1);", "::sleep(1);", "throw Oops();",
    "x();  // TODO later",
])
def test_banned_words(faults, line):
    found = faults(f"int a;\n{line}\n")
    assert len(found) == 1 and ":2:" in found[0]


@pytest.mark.parametrize("line", [
    "// never calls system() or waitpid()", 'fail("https://x");', "file_system(1);",
    "wait(ctx);", "PQsendQueryParams(c);", "rethrow();",
])
def test_harmless_lines(faults, line):
    assert faults(line + "\n") == []


def test_long_files(faults):
    assert len(faults("int a;\n" * 121, "a.h")) == 1
    assert faults("int a;\n" * 121, "a_test.cpp") != []  # the header is still too long
    longer = RULES + "\nlonger src/base/a.h 130 # because\n"
    assert faults("int a;\n" * 121, "a.h", longer) == []
    assert "stale" in faults("int a;\n", "a.h", longer)[0]


def test_allowed_place_goes_stale(faults):
    rules = RULES + "\nallow src/base/a.cpp \\bpopen\\( # here only\n"
    assert faults("popen(x);\n", rules=rules) == []
    assert "stale" in faults("int a;\n", rules=rules)[0]
    assert faults("popen(x);\n", "b.cpp", rules)


def test_every_exception_has_a_reason(tool):
    with pytest.raises(SystemExit):
        tool.Rules("allow src/base/a.cpp \\bpopen\\(\n")
