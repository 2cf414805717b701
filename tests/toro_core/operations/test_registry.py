"""Operations by name: the core's own, and those of a plugin that is installed from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.assembly import service_on
from toro_core.errors import ToroError
from toro_core.local import LocalTransport
from toro_core.operations.arguments import arguments
from toro_core.operations.contract import OperationFacts, ParameterFacts
from toro_core.plugins import BrokenPlugin, plugin_operations
from toro_core.v1 import (
    CallError,
    Core,
    ExposedType,
    Exposure,
    GetCapabilitiesRequest,
    Handling,
    Interaction,
    InvokeOperationRequest,
    OperationArgument,
)

if TYPE_CHECKING:
    from tests.toro_core.conftest import Partner
    from tests.toro_core.operations.conftest import Records

EXAMPLE = Path(__file__).parents[2] / "example_operation"


def install(folder: Path, module: str) -> None:
    """Put a distribution of that module where Python finds it."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[toro.plugins]\n{module} = {module}\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "site"
    found.mkdir()
    monkeypatch.syspath_prepend(found)
    return found


@pytest.fixture
def example(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the example."""
    monkeypatch.syspath_prepend(EXAMPLE)
    install(folder, "toro_latest")


@pytest.fixture
async def extended(filled: Records, partner: Partner, example: None) -> Core:
    """Return the core with the example loaded."""
    return Core(LocalTransport(service_on(partner.storage, partner.settings, of_plugins=plugin_operations())))


async def latest(core: Core, partner: Partner, *scopes: str, **asked: Any) -> dict[str, Any]:
    request = InvokeOperationRequest(operation="latest", **({"name": "Patient/1"} | asked))
    answer = await core.InvokeOperation(request, metadata=await partner.may(*scopes or ("system/*.rs",)))
    found: dict[str, Any] = json.loads(answer.json)
    return found


async def test_without_plugins_there_are_the_cores_own(local: Core) -> None:
    known = (await local.GetCapabilities(GetCapabilitiesRequest())).operations
    assert [one.code for one in known] == ["validate", "everything", "document", "docref"]
    assert all(one.built_in and one.definition.startswith("http://hl7.org/fhir/") for one in known)


async def test_a_plugin_adds_an_operation(extended: Core, partner: Partner) -> None:
    added = (await extended.GetCapabilities(GetCapabilitiesRequest())).operations[-1]
    assert (added.code, list(added.resource_types), added.instance, added.built_in) == (
        "latest",
        ["Patient"],
        True,
        False,
    )
    found = await latest(extended, partner)
    assert found["resourceType"] == "Parameters"
    assert {"name": "Observation", "valueReference": {"reference": "Observation/o3"}} in found["parameter"]


async def test_it_does_what_its_caller_may_and_nothing_else(extended: Core, partner: Partner) -> None:
    some = ("system/Patient.rs", "system/Observation.rs?date=lt2024-02-15")
    found = await latest(extended, partner, *some)
    assert found["parameter"] == [{"name": "Observation", "valueReference": {"reference": "Observation/o2"}}]
    for scopes, name, reason in (
        (("system/Observation.rs",), "Patient/1", "INSUFFICIENT_SCOPE"),
        (("system/Patient.rs?_id=2", "system/Observation.rs"), "Patient/1", "RESOURCE_NOT_FOUND"),
        (("system/*.rs",), "Patient/absent", "RESOURCE_NOT_FOUND"),
        (("system/*.rs",), "Observation/o1", "UNKNOWN_OPERATION"),
    ):
        with pytest.raises(CallError) as caught:
            await latest(extended, partner, *scopes, name=name)
        assert caught.value.reason == reason


async def test_an_exposure_narrows_it(extended: Core, partner: Partner) -> None:
    patient = ExposedType(resource_type="Patient", interactions=[Interaction.INTERACTION_READ])
    found = await latest(extended, partner, exposure=Exposure(types=[patient]))
    assert "parameter" not in found
    with pytest.raises(CallError) as caught:
        await latest(extended, partner, exposure=Exposure())
    assert caught.value.reason == "NOT_EXPOSED"


async def test_arguments_it_does_not_have_are_refused_or_ignored(extended: Core, partner: Partner) -> None:
    given = [OperationArgument(name="type", value="Observation"), OperationArgument(name="colour", value="red")]
    with pytest.raises(CallError) as caught:
        await latest(extended, partner, arguments=given)
    assert caught.value.reason == "INVALID_OPERATION"
    assert "`colour`" in caught.value.issues[0].diagnostics
    found = await latest(extended, partner, arguments=given, handling=Handling.HANDLING_LENIENT)
    assert [part["name"] for part in found["parameter"]] == ["Observation"]


@pytest.mark.parametrize(
    "asked", [{"operation": "absent"}, {"operation": "docref"}, {"operation": "everything", "name": ""}]
)
async def test_an_operation_that_is_not_there_is_unknown(
    filled: Records, partner: Partner, asked: dict[str, str]
) -> None:
    request = InvokeOperationRequest(**({"name": "Patient/1"} | asked))  # type: ignore[arg-type]
    with pytest.raises(CallError) as caught:
        await filled.core.InvokeOperation(request, metadata=await partner.may("system/*.cruds"))
    assert (caught.value.code, caught.value.reason) == ("UNIMPLEMENTED", "UNKNOWN_OPERATION")


async def test_validate_is_invoked_by_name_too(filled: Records, partner: Partner) -> None:
    wrong = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": {"resourceType": "Patient", "x": 1}}],
    }
    request = InvokeOperationRequest(
        operation="validate", resource_type="Patient", parameters=json.dumps(wrong).encode()
    )
    answer = await filled.core.InvokeOperation(request, metadata=await partner.may("system/Patient.c"))
    outcome = json.loads(answer.json)
    assert outcome["issue"][0]["severity"] == "error"
    assert outcome["issue"][0]["expression"] == ["Patient.x"]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import a_driver_that_is_not_there", "a_driver_that_is_not_there"),
        ("from toro_core.hookspecs import hookimpl\n@hookimpl\ndef toro_operation():\n    return []", "toro_operation"),
        ("from toro_core.hookspecs import hookimpl\n@hookimpl\ndef toro_operations():\n    return 1 / 0", "division"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named_with_the_cause(folder: Path, source: str, cause: str) -> None:
    name = f"toro_broken_{cause[:5]}"
    (folder / f"{name}.py").write_text(source)
    install(folder, name)
    with pytest.raises(BrokenPlugin, match=rf"{name}.*{cause}"):
        plugin_operations()


async def test_two_operations_of_one_name_are_an_error(partner: Partner, example: None) -> None:
    added = plugin_operations()
    with pytest.raises(BrokenPlugin, match=r"\$latest"):
        service_on(partner.storage, partner.settings, of_plugins=(*added, *added))


FACTS = OperationFacts(
    code="try",
    url="http://example.org/try",
    levels=("system",),
    parameters=(
        ParameterFacts(name="text", type="string", max=None),
        ParameterFacts(name="flag", type="boolean"),
        ParameterFacts(name="code", type="Coding"),
        ParameterFacts(name="resource", type="Resource"),
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "resource", "valueString", "valueBoolean", "code"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    parts=st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["text", "flag", "code", "resource", "other"])},
            optional={
                "valueString": json_values,
                "valueBoolean": json_values,
                "valueCoding": json_values,
                "resource": json_values,
            },
        ),
        max_size=4,
    )
    | json_values,
    lenient=st.booleans(),
)
def test_parameters_of_any_shape_are_understood_or_refused(parts: Any, lenient: bool) -> None:
    body = json.dumps({"resourceType": "Parameters", "parameter": parts}).encode()
    try:
        found, _ = arguments(FACTS, [("text", "given")], body, lenient=lenient)
    except ToroError:
        return
    assert found.texts["text"][0] == "given"
    assert found.text("flag") in ("", "true", "false")
    assert all(isinstance(value, str) for values in found.texts.values() for value in values)
