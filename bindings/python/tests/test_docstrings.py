"""What the package says of itself: every public name, with examples that run as they stand."""

import doctest
import importlib
import inspect
import types

import pytest

import libvault
from libvault import _native

MODULES = ["libvault", "libvault._native", "libvault.aio", "libvault.audit", "libvault.hvac", "libvault.policy", "libvault.testing"]
ROUTINES = (types.MethodDescriptorType, types.GetSetDescriptorType, types.FunctionType, property, classmethod)

# Where an example would need a server, an HSM or a damaged store, or shows nothing that the module's own does not.
WITHOUT_EXAMPLE = {
    "Account", "Anchor", "AuditLine", "AuditSink", "Connector", "Emergency", "FileSink", "Init", "KeyWrapper", "KvVersion", "MySQL", "Pkcs11",
    "PostgreSQL", "Redis", "Rotation", "SecretSnapshot", "SocketSink", "StaticCreds", "SyslogSink", "Target", "doctor", "salvage",
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0 and outcome.failed == 0


def test_all_that_can_be_called_has_an_example_or_is_named() -> None:
    found = [test for module in (libvault, _native) for test in doctest.DocTestFinder().find(module) if test.examples]
    shown = {test.name.rpartition(".")[2] for test in found}
    classes = {name for name in libvault.__all__ if callable(getattr(libvault, name)) and not name[0].islower()}
    errors = {name for name in classes if issubclass(getattr(libvault, name), Exception)}
    functions = {"create", "open", "restore", "salvage", "doctor", "verify_backup"}
    assert (classes - errors) | functions == shown - {"libvault"} | WITHOUT_EXAMPLE


@pytest.mark.parametrize("module_name", [*MODULES, "libvault.errors", "libvault.reports"])
def test_every_public_name_is_documented(module_name: str) -> None:
    module = importlib.import_module(module_name)
    assert inspect.getdoc(module)
    for name in module.__all__:
        thing = getattr(module, name)
        if isinstance(thing, (str, int, float)):
            continue
        assert inspect.getdoc(thing), name
        if isinstance(thing, type):
            for member, value in vars(thing).items():
                if not member.startswith("_") and isinstance(value, ROUTINES):
                    assert inspect.getdoc(value), f"{name}.{member}"
