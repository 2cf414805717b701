from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Interaction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTERACTION_UNSPECIFIED: _ClassVar[Interaction]
    INTERACTION_READ: _ClassVar[Interaction]
    INTERACTION_VREAD: _ClassVar[Interaction]
    INTERACTION_HISTORY_INSTANCE: _ClassVar[Interaction]
    INTERACTION_SEARCH_TYPE: _ClassVar[Interaction]
    INTERACTION_CREATE: _ClassVar[Interaction]
    INTERACTION_UPDATE: _ClassVar[Interaction]
    INTERACTION_PATCH: _ClassVar[Interaction]
    INTERACTION_DELETE: _ClassVar[Interaction]
    INTERACTION_BATCH: _ClassVar[Interaction]
    INTERACTION_TRANSACTION: _ClassVar[Interaction]
    INTERACTION_HISTORY_TYPE: _ClassVar[Interaction]
    INTERACTION_HISTORY_SYSTEM: _ClassVar[Interaction]
INTERACTION_UNSPECIFIED: Interaction
INTERACTION_READ: Interaction
INTERACTION_VREAD: Interaction
INTERACTION_HISTORY_INSTANCE: Interaction
INTERACTION_SEARCH_TYPE: Interaction
INTERACTION_CREATE: Interaction
INTERACTION_UPDATE: Interaction
INTERACTION_PATCH: Interaction
INTERACTION_DELETE: Interaction
INTERACTION_BATCH: Interaction
INTERACTION_TRANSACTION: Interaction
INTERACTION_HISTORY_TYPE: Interaction
INTERACTION_HISTORY_SYSTEM: Interaction

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("fhir_version", "software_version", "types", "storage_capabilities", "max_body", "definitions_digest", "interactions", "operations")
    FHIR_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    STORAGE_CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    MAX_BODY_FIELD_NUMBER: _ClassVar[int]
    DEFINITIONS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    fhir_version: str
    software_version: str
    types: _containers.RepeatedCompositeFieldContainer[TypeCapability]
    storage_capabilities: _containers.RepeatedScalarFieldContainer[str]
    max_body: int
    definitions_digest: str
    interactions: _containers.RepeatedScalarFieldContainer[Interaction]
    operations: _containers.RepeatedCompositeFieldContainer[OperationCapability]
    def __init__(self, fhir_version: _Optional[str] = ..., software_version: _Optional[str] = ..., types: _Optional[_Iterable[_Union[TypeCapability, _Mapping]]] = ..., storage_capabilities: _Optional[_Iterable[str]] = ..., max_body: _Optional[int] = ..., definitions_digest: _Optional[str] = ..., interactions: _Optional[_Iterable[_Union[Interaction, str]]] = ..., operations: _Optional[_Iterable[_Union[OperationCapability, _Mapping]]] = ...) -> None: ...

class OperationCapability(_message.Message):
    __slots__ = ("code", "definition", "system", "type", "instance", "resource_types", "affects_state", "built_in")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_TYPES_FIELD_NUMBER: _ClassVar[int]
    AFFECTS_STATE_FIELD_NUMBER: _ClassVar[int]
    BUILT_IN_FIELD_NUMBER: _ClassVar[int]
    code: str
    definition: str
    system: bool
    type: bool
    instance: bool
    resource_types: _containers.RepeatedScalarFieldContainer[str]
    affects_state: bool
    built_in: bool
    def __init__(self, code: _Optional[str] = ..., definition: _Optional[str] = ..., system: _Optional[bool] = ..., type: _Optional[bool] = ..., instance: _Optional[bool] = ..., resource_types: _Optional[_Iterable[str]] = ..., affects_state: _Optional[bool] = ..., built_in: _Optional[bool] = ...) -> None: ...

class TypeCapability(_message.Message):
    __slots__ = ("resource_type", "interactions", "search_parameters", "supported_profiles")
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    SUPPORTED_PROFILES_FIELD_NUMBER: _ClassVar[int]
    resource_type: str
    interactions: _containers.RepeatedScalarFieldContainer[Interaction]
    search_parameters: _containers.RepeatedCompositeFieldContainer[SearchParameterCapability]
    supported_profiles: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, resource_type: _Optional[str] = ..., interactions: _Optional[_Iterable[_Union[Interaction, str]]] = ..., search_parameters: _Optional[_Iterable[_Union[SearchParameterCapability, _Mapping]]] = ..., supported_profiles: _Optional[_Iterable[str]] = ...) -> None: ...

class SearchParameterCapability(_message.Message):
    __slots__ = ("code", "type", "definition", "targets", "modifiers")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    MODIFIERS_FIELD_NUMBER: _ClassVar[int]
    code: str
    type: str
    definition: str
    targets: _containers.RepeatedScalarFieldContainer[str]
    modifiers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, code: _Optional[str] = ..., type: _Optional[str] = ..., definition: _Optional[str] = ..., targets: _Optional[_Iterable[str]] = ..., modifiers: _Optional[_Iterable[str]] = ...) -> None: ...
