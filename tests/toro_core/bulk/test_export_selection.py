"""What goes out and what does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from toro_core.access import Forbidden
from toro_core.auth.scopes import grants_of
from toro_core.bulk.errors import InvalidExport, TooManyExports
from toro_core.caller import Caller
from toro_core.errors import NotFound
from toro_core.json import loads
from toro_core.storage import instant
from toro_core.testing.memory import MemoryStorage
from toro_core.v1 import ExportLevel, Handling, SearchParameter, TypeFilter

PATIENT = {"level": ExportLevel.EXPORT_LEVEL_PATIENT}
SYSTEM = "http://loinc.org"


def group(*members: str, id: str = "g", **more: Any) -> dict[str, Any]:
    listed = [{"entity": {"reference": name}} for name in members]
    return {"resourceType": "Group", "id": id, "type": "person", "actual": True, "member": listed, **more}


def of_group(id: str = "g") -> dict[str, Any]:
    return {"level": ExportLevel.EXPORT_LEVEL_GROUP, "group": f"Group/{id}"}


def provenance(id: str, *targets: str, agent: str = "Practitioner/author", recorded: str = "2024") -> dict[str, Any]:
    return {
        "resourceType": "Provenance",
        "id": id,
        "target": [{"reference": name} for name in targets],
        "recorded": f"{recorded}-01-01T00:00:00Z",
        "agent": [{"who": {"reference": agent}, "onBehalfOf": {"reference": "Organization/of-agent"}}],
    }


async def test_the_whole_system_goes_out_as_it_is_stored(place: Any, kit: Any) -> None:
    stored = await place.put(kit.patient(1), kit.observation(1, 1), {"resourceType": "Organization", "id": "x"})
    job = await place.export()
    assert job.state == "complete"
    lines = await place.lines(job)
    assert {name: found for name, [found] in lines.items()} == {each.key.type: each.json for each in stored}


async def test_an_empty_storage_gives_an_export_without_files(place: Any) -> None:
    for level in ({}, PATIENT):
        job = await place.export(**level)
        assert (job.state, job.files) == ("complete", ())


async def test_only_the_current_versions_of_the_snapshot_go_out(place: Any, kit: Any) -> None:
    await place.put(kit.patient(1), kit.patient(2), kit.patient(3))
    await place.put(kit.patient(1, active=True))
    await place.delete("Patient/p2")
    job = await place.start()
    await place.put(kit.patient(1, active=False), kit.patient(9))
    await place.delete("Patient/p3")
    lines = (await place.lines(await place.finish(job)))["Patient"]
    assert {loads(line)["id"]: loads(line).get("active") for line in lines} == {"p1": True, "p3": None}


async def test_patients_export_has_compartments_and_what_they_refer_to_in_turn(place: Any, kit: Any) -> None:
    await place.put(
        kit.patient(1, managingOrganization={"reference": f"{kit.BASE}/Organization/by-address"}),
        kit.observation(1, 1, performer=[{"reference": "PractitionerRole/role"}]),
        {"resourceType": "Observation", "id": "nobodys", "status": "final", "code": {"text": "x"}},
        {"resourceType": "PractitionerRole", "id": "role", "practitioner": {"reference": "Practitioner/in-turn"}},
        {"resourceType": "Practitioner", "id": "in-turn"},
        {"resourceType": "Practitioner", "id": "unknown"},
        {"resourceType": "Organization", "id": "by-address"},
        {"resourceType": "Organization", "id": "unknown"},
        {"resourceType": "Device", "id": "implant", "patient": {"reference": "Patient/p1"}},
        {"resourceType": "Device", "id": "spare"},
        {"resourceType": "ValueSet", "id": "x", "status": "draft"},
    )
    names = await place.ids(await place.export(**PATIENT))
    assert names == {
        *("Patient/p1", "Observation/o1", "PractitionerRole/role", "Practitioner/in-turn"),
        *("Organization/by-address", "Device/implant"),
    }


async def test_a_groups_export_is_of_its_active_members_and_of_no_other_group(place: Any, kit: Any) -> None:
    await place.put(*[kit.patient(n) for n in range(5)], *[kit.observation(n, n) for n in range(5)])
    inactive = {"entity": {"reference": "Patient/p2"}, "inactive": True}
    await place.put(
        group("Patient/p0", "Group/inner"), group("Patient/p1", "Group/g", id="inner"), group("Patient/p0", id="other")
    )
    found = group("Patient/p0", "Group/inner")
    found["member"].append(inactive)
    await place.put(found)
    job = await place.start(**of_group())
    await place.put(group("Patient/p4"))  # whoever joins later is not in the snapshot
    names = await place.ids(await place.finish(job))
    assert names == {"Group/g", "Patient/p0", "Patient/p1", "Observation/o0", "Observation/o1"}


async def test_a_supporting_resource_of_somebody_else_stays_in(place: Any, kit: Any) -> None:
    def specimen(id: str, **more: Any) -> dict[str, Any]:
        return {"resourceType": "Specimen", "id": id, **more}

    await place.put(
        *[kit.patient(n) for n in range(2)],
        kit.observation(1, 0, specimen={"reference": "Specimen/other"}),
        kit.observation(2, 0, specimen={"reference": "Specimen/nobodys"}),
        specimen("other", subject={"reference": "Patient/p1"}),
        specimen("nobodys"),
        group("Patient/p0"),
    )
    names = await place.ids(await place.export(**of_group()))
    assert "Specimen/nobodys" in names
    assert "Specimen/other" not in names


async def test_provenance_goes_out_where_a_target_is_in_the_compartment(place: Any, kit: Any) -> None:
    await place.put(
        kit.patient(0),
        kit.patient(1),
        kit.observation(0, 0),
        kit.observation(1, 1),
        {"resourceType": "Practitioner", "id": "author"},
        {"resourceType": "Organization", "id": "of-agent"},
        {"resourceType": "Organization", "id": "about"},
        provenance("patients", "Patient/p0"),
        provenance("observations", "Observation/o0", "Organization/about"),
        provenance("others", "Observation/o1"),
        provenance("organizations", "Organization/about"),
        group("Patient/p0"),
    )
    names = await place.ids(await place.export(**of_group()))
    assert {name for name in names if name.startswith("Provenance")} == {
        "Provenance/patients",
        "Provenance/observations",
    }
    assert {"Practitioner/author", "Organization/of-agent"} <= names
    system = await place.ids(await place.export())
    assert {"Provenance/others", "Provenance/organizations"} <= system


async def test_the_latest_or_all_provenance_of_what_goes_out_may_be_asked_for(place: Any, kit: Any) -> None:
    await place.put(
        *[kit.patient(0), kit.observation(0, 0)],
        provenance("old", "Observation/o0", recorded="2020"),
        provenance("new", "Observation/o0", recorded="2024"),
        provenance("patients", "Patient/p0"),
    )
    for level in ({}, PATIENT):
        asked = level | {"types": ["Observation"]}
        latest = await place.ids(await place.export(**asked, associated_data=["LatestProvenanceResources"]))
        assert latest == {"Observation/o0", "Provenance/new"}
        both = ["LatestProvenanceResources", "RelevantProvenanceResources"]
        relevant = await place.ids(await place.export(**asked, associated_data=both))
        assert relevant == {"Observation/o0", "Provenance/new", "Provenance/old"}
        assert await place.ids(await place.export(**asked)) == {"Observation/o0"}


async def test_since_and_until_exclude_their_very_millisecond(place: Any, kit: Any) -> None:
    stored = []
    for number in range(3):
        stored += await place.put(kit.patient(number))
        await asyncio.sleep(0.003)
    first, second, third = (instant(each.at) for each in stored)
    assert await place.ids(await place.export(since=first)) == {"Patient/p1", "Patient/p2"}
    assert await place.ids(await place.export(until=third)) == {"Patient/p0", "Patient/p1"}
    assert await place.ids(await place.export(since=first, until=third)) == {"Patient/p1"}
    assert await place.ids(await place.export(since=second.replace("Z", "999+00:00"))) == {"Patient/p2"}
    assert await place.ids(await place.export(since=second.replace("Z", " 00:00"))) == {"Patient/p2"}


async def test_deletions_go_out_in_bundles_judged_by_what_was_deleted(place: Any, kit: Any) -> None:
    await place.put(kit.patient(0), kit.patient(1), kit.observation(0, 0), kit.observation(1, 1), group("Patient/p0"))
    since = (await place.export()).at
    for name in ("Observation/o0", "Observation/o1"):
        await place.delete(name)

    def told(lines: dict[str, list[bytes]]) -> list[str]:
        bundles: list[Any] = [loads(line) for line in lines["deleted"]]
        return [entry["request"]["url"] for bundle in bundles for entry in bundle["entry"]]

    asked = {"since": instant(since)}
    assert told(await place.lines(await place.export(**asked))) == ["Observation/o0", "Observation/o1"]
    assert told(await place.lines(await place.export(**of_group(), **asked))) == ["Observation/o0"]
    assert "deleted" not in await place.lines(await place.export())


async def test_a_type_filter_and_a_granular_scope_hold_together(place: Any, kit: Any) -> None:
    def coded(number: int, code: str, status: str = "final") -> dict[str, Any]:
        found = kit.observation(number, code={"coding": [{"system": SYSTEM, "code": code}]}, status=status)
        assert isinstance(found, dict)
        return found

    await place.put(kit.patient(0), coded(1, "a"), coded(2, "b"), coded(3, "a", "amended"), coded(4, "c"))
    place.caller = Caller(
        client_id="client", grants=grants_of((f"system/Observation.rs?code={SYSTEM}|a,{SYSTEM}|b", "system/Patient.rs"))
    )

    def filtered(**by: str) -> TypeFilter:
        parameters = [SearchParameter(code=code, values=[value]) for code, value in by.items()]
        return TypeFilter(resource_type="Observation", parameters=parameters)

    assert await place.ids(await place.export()) == {"Patient/p0", "Observation/o1", "Observation/o2", "Observation/o3"}
    found = await place.export(type_filters=[filtered(status="amended"), filtered(code="b"), filtered(code="c")])
    assert await place.ids(found) == {"Patient/p0", "Observation/o2", "Observation/o3"}


async def test_a_chain_in_a_type_filter_is_refused(place: Any) -> None:
    chained = SearchParameter(code="subject:Patient.name", values=["x"])
    with pytest.raises(InvalidExport):
        await place.start(type_filters=[TypeFilter(resource_type="Observation", parameters=[chained])])


async def test_what_is_exposed_bounds_what_goes_out(place: Any, kit: Any) -> None:
    await place.put(kit.patient(0), kit.observation(0))
    assert await place.ids(await place.export(exposed_types=["Patient"])) == {"Patient/p0"}
    with pytest.raises(InvalidExport):
        await place.start(exposed_types=["Patient"], types=["Observation"])


async def test_leniency_is_told_in_error_files(place: Any, kit: Any) -> None:
    await place.put(kit.patient(0))
    place.caller = Caller(client_id="client", grants=grants_of(("system/Patient.rs",)))
    job = await place.export(
        types=["Patient", "Observation", "Nonsense"], unknown=["_x"], handling=Handling.HANDLING_LENIENT
    )
    lines = await place.lines(job)
    outcomes: list[Any] = [loads(line) for line in lines["error"]]
    said = " ".join(outcome["issue"][0]["diagnostics"] for outcome in outcomes)
    assert set(lines) == {"Patient", "error"}
    assert all(name in said for name in ("Observation", "Nonsense", "_x"))


async def test_who_may_have_nothing_gets_nothing(place: Any, kit: Any) -> None:
    await place.put(kit.patient(0))
    place.caller = Caller(client_id="client", grants=grants_of(("system/Patient.r",)))
    with pytest.raises(Forbidden):
        await place.start()
    with pytest.raises(Forbidden):
        await place.start(types=["Patient"])


async def test_an_export_is_its_owners_as_long_as_the_token_allows_all_of_it(place: Any, kit: Any) -> None:
    await place.put(kit.patient(0), kit.observation(0))
    job = await place.export()
    stranger = Caller(client_id="stranger", grants=kit.CALLER.grants)
    narrowed = Caller(client_id="client", grants=grants_of(("system/Patient.rs", "system/Observation.rs?status=final")))
    (file, *_) = job.files
    acts: tuple[Any, ...] = (
        place.exports.look,
        place.exports.cancel,
        lambda caller, id_: place.exports.file(caller, id_, file.name),
    )
    for act in acts:
        with pytest.raises(NotFound):
            await act(stranger, job.id)
        with pytest.raises(Forbidden):
            await act(narrowed, job.id)
    place.caller = narrowed
    own = await place.export(types=["Observation"])
    assert (await place.exports.look(narrowed, own.id)).job == own


async def test_a_client_begins_only_so_many_at_once(place: Any) -> None:
    jobs = [await place.start() for _ in range(4)]
    with pytest.raises(TooManyExports):
        await place.start()
    await place.exports.cancel(place.caller, jobs[0].id)
    await place.start()


async def test_ascii_is_written_where_that_is_asked_for(kit: Any, tmp_path: Any) -> None:
    place = kit.place_on(MemoryStorage(), tmp_path, ascii_only=True)
    name = "Größe 😀 \u0001 \\u00e9"
    (stored,) = await place.put(kit.patient(0, name=[{"text": name}]))
    ((line,),) = (await place.lines(await place.export())).values()
    assert line.isascii()
    assert not stored.json.isascii()
    assert loads(line) == loads(stored.json)
