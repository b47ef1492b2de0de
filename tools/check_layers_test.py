"""check_layers on small made-up trees: every rule must be able to fail."""
import importlib.machinery
import importlib.util
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
LAYERS = """
level 0 base
level 1 sql net
level 4 edge
level 6 preview release
level 8 app
only helper: base
concrete edge/haproxy
heavy libpq-fe.h : src/sql/*
"""


@pytest.fixture(scope="module")
def tool():
    loader = importlib.machinery.SourceFileLoader("check_layers", str(HERE / "check_layers"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_layers", loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def faults(tool, tmp_path):
    def run(files, layers=LAYERS):
        for folder in ("base/a.h", "sql/a.h", "net/a.h", "edge/edge.h", "edge/haproxy/map.h",
                       "preview/a.h", "release/a.h", "app/a.h"):
            path = tmp_path / "src" / folder
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for name, includes in files.items():
            path = tmp_path / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"#include {include}\n" for include in includes))
        return tool.check(tool.Graph(tmp_path), tool.Layers(layers))
    return run


def test_lower_levels_and_own_folder_are_fine(faults):
    assert faults({"preview/b.cpp": ['"preview/a.h"', '"sql/a.h"', '"base/a.h"', "<vector>"]}) == []


@pytest.mark.parametrize("file, include, word", [
    ("sql/b.cpp", '"preview/a.h"', "upward"),
    ("sql/b.h", '"net/a.h"', "sideways"),
    ("preview/b.cpp", '"release/a.h"', "sideways"),
    ("helper/main.cpp", '"sql/a.h"', "only base"),
    ("net/b.cpp", "<libpq-fe.h>", "belongs into src/sql"),
    ("preview/b.cpp", '"edge/haproxy/map.h"', "concrete"),
    ("edge/b.cpp", '"edge/haproxy/map.h"', "concrete"),
    ("edge/haproxy/map.cpp", '"preview/a.h"', "upward"),
    ("brand_new/b.cpp", '"base/a.h"', "no level"),
])
def test_forbidden_edge_is_named_with_its_line(faults, file, include, word):
    found = faults({file: ["<string>", include]})
    assert len(found) == 1 and word in found[0] and file in found[0]


def test_app_may_name_what_is_concrete(faults):
    assert faults({"app/b.cpp": ['"edge/haproxy/map.h"']}) == []
    assert faults({"edge/haproxy/map.cpp": ['"edge/haproxy/map.h"', '"edge/edge.h"']}) == []


def test_exception_silences_and_goes_stale(faults):
    excused = LAYERS + "exception src/sql/b.cpp -> net # measured\n"
    assert faults({"sql/b.cpp": ['"net/a.h"']}, excused) == []
    stale = faults({"sql/b.cpp": ['"base/a.h"']}, excused)
    assert len(stale) == 1 and "stale" in stale[0]


def test_exception_needs_a_reason(tool):
    with pytest.raises(SystemExit):
        tool.Layers("exception src/sql/b.cpp -> net\n")
