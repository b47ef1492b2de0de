"""The include graph of src/: which file names which, ours and foreign."""
import functools
import pathlib
import re

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


class Graph:
    """Paths are relative to `root`, the folder that holds src/."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = sorted(str(path.relative_to(self.root))
                            for pattern in ("*.h", "*.cpp", "*.inc")
                            for path in (self.root / "src").rglob(pattern))

    @functools.lru_cache(maxsize=None)
    def includes(self, file):
        """[(line, name, our file or None)] in the order of the text."""
        text = (self.root / file).read_text(errors="replace")
        found = []
        for match in INCLUDE.finditer(text):
            name = match.group(2)
            ours = self._resolve(file, name) if match.group(1) == '"' else None
            found.append((text.count("\n", 0, match.start()) + 1, name, ours))
        return found

    def _resolve(self, file, name):
        for candidate in (pathlib.Path("src") / name, pathlib.Path(file).parent / name,
                          pathlib.Path("tests") / name):
            if (self.root / candidate).is_file():
                return str(candidate)
        return None

    def closure(self, file):
        """The file and all of ours that it includes, directly or not."""
        seen, todo = set(), [file]
        while todo:
            current = todo.pop()
            if current not in seen:
                seen.add(current)
                todo += [ours for _, _, ours in self.includes(current) if ours]
        return seen
