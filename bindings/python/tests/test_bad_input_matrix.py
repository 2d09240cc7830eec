"""Every public call with every kind of bad argument: a typed error each, and never a panic."""

import importlib
import inspect
import pathlib
import types
from collections.abc import Iterator
from typing import Any

import pytest

import bad_inputs
import libvault
from conftest import World

TYPED = (TypeError, ValueError, libvault.VaultError)
MODULES = ["", "aio", "audit", "errors", "hvac", "policy", "reports", "testing"]

# Classes of which nothing is called by users but what has a row: made by the library, or data that checks nothing.
MADE_BY_US = {
    "Account",
    "AuditLine",
    "Emergency",
    "Init",
    "Kv",
    "KvSecret",
    "KvVersion",
    "LiveSecret",
    "Rotation",
    "SecretSnapshot",
    "Session",
    "StaticCreds",
    "Target",
    "Vault",
    "policy.Decision",
    "policy.TestReport",
    "aio.Emergency",
    "aio.Kv",
    "aio.LiveSecret",
    "aio.Rotation",
    "aio.Session",
    "aio.Vault",
    "testing.MemoryVault",
    "hvac.Adapter",
}
# Asked of an HSM: tests/test_pkcs11.py has a token to ask.
NEEDS_A_TOKEN = {"Pkcs11.generate_key", "Pkcs11.wrap", "Pkcs11.unwrap"}
# hvac's own face, which tests/test_hvac.py goes through.
OF_HVAC = {"hvac.Adapter.of"}
SPECIAL = {"__getitem__", "__contains__"}
VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def public_calls() -> Iterator[str]:
    """Everything of the package that can be called, by its name below `libvault`."""
    for module_name in MODULES:
        module = importlib.import_module(f"libvault.{module_name}".rstrip("."))
        for name in module.__all__:
            thing, full = getattr(module, name), f"{module_name}.{name}".lstrip(".")
            if isinstance(thing, types.ModuleType) or not callable(thing):
                continue
            if not isinstance(thing, type):
                yield full
            elif not issubclass(thing, BaseException) and not hasattr(thing, "__total__"):
                if full not in MADE_BY_US:
                    yield full
                for member, value in vars(thing).items():
                    routine = isinstance(value, (types.MethodDescriptorType, types.FunctionType, classmethod))
                    wrapper = member in SPECIAL and isinstance(value, types.WrapperDescriptorType)
                    if wrapper or (routine and not member.startswith("_")):
                        yield f"{full}.{member}"


def test_every_public_call_has_a_row() -> None:
    rows = bad_inputs.names()
    assert len(rows) == len(set(rows))
    calls = set(public_calls()) - NEEDS_A_TOKEN - OF_HVAC
    assert calls == set(rows), sorted(calls ^ set(rows))


def told(value: object) -> str:
    """A value for a message; a nested one cannot be shown."""
    return f"{type(value).__name__} {str(value)[:20]!a}" if isinstance(value, (str, int, float, bytes)) else type(value).__name__


@pytest.fixture
def row(world: World, request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    return bad_inputs.call(world, request.param)


every = pytest.mark.parametrize("row", bad_inputs.names(), indirect=True)


@every
def test_bad_arguments_are_refused_by_a_typed_error(row: bad_inputs.Row) -> None:
    call, given = row
    good = {name: value for name, (value, _) in given.items()}
    for name, (_, kind) in given.items():
        for value in kind.bad:
            try:
                call(**{**good, name: value})
            except TYPED:
                continue
            except BaseException as error:
                raise AssertionError(f"{name}: {told(value)} raised {type(error).__name__}") from error
            raise AssertionError(f"{name}: {told(value)} was taken")


@every
def test_whatever_is_given_is_taken_or_refused_by_a_typed_error(row: bad_inputs.Row) -> None:
    call, given = row
    good = {name: value for name, (value, _) in given.items()}
    for name in given:
        for value in bad_inputs.ODD:
            try:
                call(**{**good, name: value})
            except (*TYPED, KeyError, NotImplementedError):
                continue
            except BaseException as error:
                raise AssertionError(f"{name}: {told(value)} raised {type(error).__name__}") from error


@every
def test_the_good_values_of_a_row_are_good(row: bad_inputs.Row) -> None:
    call, given = row
    try:
        call(**{name: value for name, (value, _) in given.items()})
    except NotImplementedError:
        pass  # Of a method that is there to be overridden.
    except libvault.VaultError as error:
        # No share, no such token, a vault that is open already, a module that is not there: the argument is of the right kind all the same.
        assert error.code_name in {"BadShare", "WrongKey", "AlreadyUnsealed", "Frozen", "KeyService", "NotFound"}, error


@pytest.mark.parametrize("name", bad_inputs.names())
def test_a_row_names_all_parameters_and_no_others_are_taken(world: World, name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, given = bad_inputs.call(world, name)
    parameters = bad_inputs.parameters(world, name)
    assert {parameter.name for parameter in parameters if parameter.kind not in VARIABLE} <= set(given)
    if not any(parameter.kind in VARIABLE for parameter in parameters):
        assert len(parameters) == len(given)
        for wrong in (lambda: call(Foreign=1), lambda: call(*[None] * 30)):
            with pytest.raises(TypeError):
                wrong()


def test_methods_refuse_an_object_of_another_class(world: World) -> None:
    for name in bad_inputs.names():
        kind, _, method = name.rpartition(".")
        thing = getattr(libvault, kind, None)
        if isinstance(thing, type):
            with pytest.raises(TypeError):
                getattr(thing, method)(bad_inputs.Foreign())
            with pytest.raises(TypeError):
                getattr(thing, method)()


STILL_ANSWER = {"close", "seal_status", "metrics", "stop_maintenance", "emergency", "kv", "live", "namespace", "rotation", "session"}


@pytest.mark.parametrize("name", [name for name in bad_inputs.names() if name.rpartition(".")[0].rpartition(".")[2] in ("Vault", "Session", "Kv")])
def test_what_is_closed_says_so(world: World, name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, given = bad_inputs.call(world, name)
    world.vault.close()
    good = {parameter: value for parameter, (value, _) in given.items()}
    if name.rpartition(".")[2] in STILL_ANSWER:
        try:
            call(**good)
        except libvault.InvalidRequest as error:
            assert error.code == 110
    else:
        with pytest.raises(libvault.InvalidRequest) as closed:
            call(**good)
        assert closed.value.code == 110


def test_errors_are_pickled_and_shown_without_their_arguments() -> None:
    for name in libvault.errors.__all__:
        kind = getattr(libvault.errors, name)
        assert inspect.isclass(kind) and issubclass(kind, Exception)
        for bad in ((), (1,), (None, None)):
            with pytest.raises((TypeError, ValueError)):
                kind(*bad)
