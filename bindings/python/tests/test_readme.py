"""What newcomers copy: each block of Python in the documents runs word for word, in an empty folder."""

import pathlib
import re

import pytest

from libvault.testing import MemoryVault

ROOT = pathlib.Path(__file__).parents[3]
DOCUMENTS = ["README.md", "bindings/python/README.md", "docs/python.md"]
BLOCKS = [
    pytest.param(block, id=f"{name} {number}")
    for name in DOCUMENTS
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE), start=1)
]


def test_every_document_has_a_block() -> None:
    assert {str(block.id).split()[0] for block in BLOCKS} == set(DOCUMENTS)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs_word_for_word(block: str, memory_vault: MemoryVault, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(block, "block", "exec"), names)
    for name, value in names.items():
        if name.startswith("test_") and callable(value):
            value(memory_vault)
