"""totals on small made-up reports: nothing that went wrong may count as passed."""
import importlib.machinery
import importlib.util
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
CTEST = '<testsuite><testcase name="a_test" status="run">{}</testcase></testsuite>'
GTEST = ('<testsuites><testsuite name="A"><testcase name="x" status="run" result="{}">{}</testcase>'
         '<testcase name="off" status="notrun"/></testsuite></testsuites>')
FAILURE = '<failure message="no"/>'


@pytest.fixture(scope="module")
def tool():
    loader = importlib.machinery.SourceFileLoader("totals", str(HERE / "totals"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("totals", loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def total(tool, tmp_path, capsys):
    def run(ctest, gtest=None, python=None, skips=""):
        if ctest is not None:
            (tmp_path / "ctest.junit").write_text(CTEST.format(ctest))
        if gtest is not None:
            (tmp_path / "a_test.xml").write_text(gtest)
        if python is not None:
            (tmp_path / "pytest.xml").write_text(
                f'<testsuites><testsuite><testcase classname="t" name="n">{python}</testcase>'
                "</testsuite></testsuites>")
        (tmp_path / "skips.txt").write_text(skips)
        code = tool.main(tmp_path, tmp_path / "skips.txt")
        return code, capsys.readouterr().out.splitlines()[-1]
    return run


def test_passes_are_added_over_both(total):
    assert total("", GTEST.format("completed", ""), "") == (0, "2 passed, 0 failed, 0 skipped")


@pytest.mark.parametrize("ctest, gtest, python, line", [
    (FAILURE, GTEST.format("completed", FAILURE), None, "0 passed, 1 failed, 0 skipped"),
    (FAILURE, GTEST.format("completed", ""), None, "1 passed, 1 failed, 0 skipped"),
    (FAILURE, None, None, "0 passed, 1 failed, 0 skipped"),
    ("", None, FAILURE, "1 passed, 1 failed, 0 skipped"),
    ("", None, '<error message="fixture"/>', "1 passed, 1 failed, 0 skipped"),
    (None, None, "", "1 passed, 1 failed, 0 skipped"),
])
def test_failures(total, ctest, gtest, python, line):
    assert total(ctest, gtest, python) == (1, line)


def test_nothing_run_is_a_failure(total):
    empty = '<testsuites><testsuite name="A"/></testsuites>'
    assert total("", empty)[0] == 1


SKIPPED = GTEST.format("skipped", '<skipped message="no root"/>')


def test_a_skip_needs_its_line_and_its_condition(total, tool, monkeypatch):
    monkeypatch.setitem(tool.CONDITIONS, "holds", lambda: True)
    monkeypatch.setitem(tool.CONDITIONS, "holds-not", lambda: False)
    assert total("", SKIPPED, "") == (1, "1 passed, 1 failed, 0 skipped")
    assert total("", SKIPPED, "", "A.x | why | holds-not\n")[0] == 1
    assert total("", SKIPPED, "", "A.* | why | holds\n") == (0, "1 passed, 0 failed, 1 skipped")


@pytest.mark.parametrize("line", ["A.x | why", "A.x | | root", "A.x | why | when it rains"])
def test_a_bad_line_is_refused(total, line):
    with pytest.raises(SystemExit):
        total("", SKIPPED, "", line + "\n")
