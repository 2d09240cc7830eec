"""Random operations on secrets beside a model of a few lines: every answer is the model's."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import libvault
from conftest import KEY

PATHS = st.sampled_from(["a", "b", "app/db", "app/x/y"])
DATA = st.dictionaries(st.sampled_from(["k", "l"]), st.integers(0, 9) | st.none(), max_size=2)
NUMBERS = st.integers(1, 6)


class KvModel(RuleBasedStateMachine):
    """Each path has a list of versions: the data, whether it is deleted, whether it is destroyed."""

    def __init__(self) -> None:
        super().__init__()
        self.vault, init = libvault.create(None, key=KEY)
        self.kv = self.vault.session(init.root_token).kv("secret")
        self.model: dict[str, list[list[Any]]] = {}

    def teardown(self) -> None:
        self.vault.verify()
        self.vault.close()

    def current(self, path: str) -> dict[str, Any] | None:
        versions = self.model.get(path) or [[None, True, True]]
        data, deleted, destroyed = versions[-1]
        return None if deleted or destroyed else data

    @rule(path=PATHS, data=DATA)
    def put(self, path: str, data: dict[str, Any]) -> None:
        self.model.setdefault(path, []).append([data, False, False])
        assert self.kv.put(path, data).version == len(self.model[path])

    @rule(path=PATHS, data=DATA, cas=st.integers(0, 6))
    def put_if_current(self, path: str, data: dict[str, Any], cas: int) -> None:
        versions = self.model.get(path, [])
        try:
            self.kv.put(path, data, cas=cas)
        except libvault.InvalidRequest as error:
            assert error.code_name == "CasMismatch" and cas != len(versions)
        else:
            assert cas == len(versions)
            self.model.setdefault(path, []).append([data, False, False])

    @rule(path=PATHS, change=DATA)
    def patch(self, path: str, change: dict[str, Any]) -> None:
        before = self.current(path)
        try:
            self.kv.patch(path, change)
        except libvault.NotFound:
            assert before is None
            return
        assert before is not None
        merged = {name: value for name, value in {**before, **change}.items() if name not in change or value is not None}
        self.model[path].append([merged, False, False])

    @rule(path=PATHS)
    def delete(self, path: str) -> None:
        try:
            self.kv.delete(path)
        except libvault.NotFound:
            assert not self.model.get(path)
        else:
            for version in self.model.get(path, [])[-1:]:
                version[1] = True

    @rule(path=PATHS, number=NUMBERS, how=st.sampled_from(["delete", "undelete", "destroy"]))
    def mark(self, path: str, number: int, how: str) -> None:
        try:
            getattr(self.kv, f"{how}_versions")(path, [number])
        except libvault.NotFound:
            assert not self.model.get(path)
            return
        for version in self.model.get(path, [])[number - 1 : number]:
            version[1] = {"delete": True, "undelete": False, "destroy": version[1]}[how]
            version[2] = version[2] or how == "destroy"

    @rule(path=PATHS)
    def remove(self, path: str) -> None:
        try:
            self.kv.delete_metadata(path)
        except libvault.NotFound:
            assert path not in self.model
        self.model.pop(path, None)

    @rule(path=PATHS, number=NUMBERS)
    def get_a_version(self, path: str, number: int) -> None:
        versions = self.model.get(path, [])
        data, deleted, destroyed = versions[number - 1] if number <= len(versions) else (None, True, True)
        try:
            with self.kv.get(path, version=number) as secret:
                assert secret.expose() == data and not deleted and not destroyed
        except libvault.NotFound as error:
            assert deleted or destroyed
            assert (error.data is not None) == (number <= len(versions))

    @rule()
    def seal_and_unseal(self) -> None:
        self.vault.seal()
        self.vault.unseal(KEY)

    @invariant()
    def the_newest_versions_are_those_of_the_model(self) -> None:
        for path in self.model:
            expected = self.current(path)
            try:
                with self.kv.get(path) as secret:
                    assert secret.expose() == expected and secret.version == len(self.model[path])
            except libvault.NotFound:
                assert expected is None

    @invariant()
    def listings_are_those_of_the_model(self) -> None:
        try:
            names = self.kv.list()
        except libvault.NotFound:
            names = []
        assert names == sorted({path if "/" not in path else path.split("/")[0] + "/" for path in self.model})


TestKvModel = KvModel.TestCase
TestKvModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, database=None)
