from toro_core._gen.toro.v1 import capability_service_pb2 as _capability_service_pb2
from toro_core._gen.toro.v1 import exposure_pb2 as _exposure_pb2
from toro_core._gen.toro.v1 import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Content(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTENT_UNSPECIFIED: _ClassVar[Content]
    CONTENT_FULL: _ClassVar[Content]

class PatchFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PATCH_FORMAT_UNSPECIFIED: _ClassVar[PatchFormat]
    PATCH_FORMAT_JSON: _ClassVar[PatchFormat]
    PATCH_FORMAT_FHIRPATH: _ClassVar[PatchFormat]

class EntryOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTRY_OUTCOME_UNSPECIFIED: _ClassVar[EntryOutcome]
    ENTRY_OUTCOME_CREATED: _ClassVar[EntryOutcome]
    ENTRY_OUTCOME_UPDATED: _ClassVar[EntryOutcome]
    ENTRY_OUTCOME_FOUND: _ClassVar[EntryOutcome]
    ENTRY_OUTCOME_DELETED: _ClassVar[EntryOutcome]
    ENTRY_OUTCOME_READ: _ClassVar[EntryOutcome]
    ENTRY_OUTCOME_NOT_MODIFIED: _ClassVar[EntryOutcome]
    ENTRY_OUTCOME_FAILED: _ClassVar[EntryOutcome]

class ValidationMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALIDATION_MODE_UNSPECIFIED: _ClassVar[ValidationMode]
    VALIDATION_MODE_CREATE: _ClassVar[ValidationMode]
    VALIDATION_MODE_UPDATE: _ClassVar[ValidationMode]
    VALIDATION_MODE_DELETE: _ClassVar[ValidationMode]

class Handling(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HANDLING_UNSPECIFIED: _ClassVar[Handling]
    HANDLING_STRICT: _ClassVar[Handling]
    HANDLING_LENIENT: _ClassVar[Handling]

class SearchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_MODE_UNSPECIFIED: _ClassVar[SearchMode]
    SEARCH_MODE_MATCH: _ClassVar[SearchMode]
    SEARCH_MODE_INCLUDE: _ClassVar[SearchMode]
CONTENT_UNSPECIFIED: Content
CONTENT_FULL: Content
PATCH_FORMAT_UNSPECIFIED: PatchFormat
PATCH_FORMAT_JSON: PatchFormat
PATCH_FORMAT_FHIRPATH: PatchFormat
ENTRY_OUTCOME_UNSPECIFIED: EntryOutcome
ENTRY_OUTCOME_CREATED: EntryOutcome
ENTRY_OUTCOME_UPDATED: EntryOutcome
ENTRY_OUTCOME_FOUND: EntryOutcome
ENTRY_OUTCOME_DELETED: EntryOutcome
ENTRY_OUTCOME_READ: EntryOutcome
ENTRY_OUTCOME_NOT_MODIFIED: EntryOutcome
ENTRY_OUTCOME_FAILED: EntryOutcome
VALIDATION_MODE_UNSPECIFIED: ValidationMode
VALIDATION_MODE_CREATE: ValidationMode
VALIDATION_MODE_UPDATE: ValidationMode
VALIDATION_MODE_DELETE: ValidationMode
HANDLING_UNSPECIFIED: Handling
HANDLING_STRICT: Handling
HANDLING_LENIENT: Handling
SEARCH_MODE_UNSPECIFIED: SearchMode
SEARCH_MODE_MATCH: SearchMode
SEARCH_MODE_INCLUDE: SearchMode

class GetResourceRequest(_message.Message):
    __slots__ = ("name", "version_id", "max_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version_id: str
    max_bytes: int
    def __init__(self, name: _Optional[str] = ..., version_id: _Optional[str] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class GetResourceResponse(_message.Message):
    __slots__ = ("resource",)
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    resource: _resource_pb2.Resource
    def __init__(self, resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ...) -> None: ...

class FetchResourceRequest(_message.Message):
    __slots__ = ("name", "version_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    version_id: str
    def __init__(self, name: _Optional[str] = ..., version_id: _Optional[str] = ...) -> None: ...

class FetchResourceResponse(_message.Message):
    __slots__ = ("resource", "chunk")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    resource: _resource_pb2.Resource
    chunk: bytes
    def __init__(self, resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class CreateResourceRequest(_message.Message):
    __slots__ = ("resource_type", "json", "content", "conditions")
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    resource_type: str
    json: bytes
    content: Content
    conditions: _containers.RepeatedCompositeFieldContainer[SearchParameter]
    def __init__(self, resource_type: _Optional[str] = ..., json: _Optional[bytes] = ..., content: _Optional[_Union[Content, str]] = ..., conditions: _Optional[_Iterable[_Union[SearchParameter, _Mapping]]] = ...) -> None: ...

class CreateResourceResponse(_message.Message):
    __slots__ = ("resource", "created", "issues")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    resource: _resource_pb2.Resource
    created: bool
    issues: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Issue]
    def __init__(self, resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ..., created: _Optional[bool] = ..., issues: _Optional[_Iterable[_Union[_resource_pb2.Issue, _Mapping]]] = ...) -> None: ...

class UpdateResourceRequest(_message.Message):
    __slots__ = ("name", "json", "etag", "allow_missing", "content", "conditions", "none_match")
    NAME_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    NONE_MATCH_FIELD_NUMBER: _ClassVar[int]
    name: str
    json: bytes
    etag: str
    allow_missing: bool
    content: Content
    conditions: _containers.RepeatedCompositeFieldContainer[SearchParameter]
    none_match: str
    def __init__(self, name: _Optional[str] = ..., json: _Optional[bytes] = ..., etag: _Optional[str] = ..., allow_missing: _Optional[bool] = ..., content: _Optional[_Union[Content, str]] = ..., conditions: _Optional[_Iterable[_Union[SearchParameter, _Mapping]]] = ..., none_match: _Optional[str] = ...) -> None: ...

class UpdateResourceResponse(_message.Message):
    __slots__ = ("resource", "created", "issues")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    resource: _resource_pb2.Resource
    created: bool
    issues: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Issue]
    def __init__(self, resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ..., created: _Optional[bool] = ..., issues: _Optional[_Iterable[_Union[_resource_pb2.Issue, _Mapping]]] = ...) -> None: ...

class PatchResourceRequest(_message.Message):
    __slots__ = ("name", "format", "patch", "etag", "content", "conditions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    PATCH_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    format: PatchFormat
    patch: bytes
    etag: str
    content: Content
    conditions: _containers.RepeatedCompositeFieldContainer[SearchParameter]
    def __init__(self, name: _Optional[str] = ..., format: _Optional[_Union[PatchFormat, str]] = ..., patch: _Optional[bytes] = ..., etag: _Optional[str] = ..., content: _Optional[_Union[Content, str]] = ..., conditions: _Optional[_Iterable[_Union[SearchParameter, _Mapping]]] = ...) -> None: ...

class PatchResourceResponse(_message.Message):
    __slots__ = ("resource", "issues")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    resource: _resource_pb2.Resource
    issues: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Issue]
    def __init__(self, resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ..., issues: _Optional[_Iterable[_Union[_resource_pb2.Issue, _Mapping]]] = ...) -> None: ...

class DeleteResourceRequest(_message.Message):
    __slots__ = ("name", "etag", "conditions", "allow_multiple")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MULTIPLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    conditions: _containers.RepeatedCompositeFieldContainer[SearchParameter]
    allow_multiple: bool
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[SearchParameter, _Mapping]]] = ..., allow_multiple: _Optional[bool] = ...) -> None: ...

class DeleteResourceResponse(_message.Message):
    __slots__ = ("deletions",)
    DELETIONS_FIELD_NUMBER: _ClassVar[int]
    deletions: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Resource]
    def __init__(self, deletions: _Optional[_Iterable[_Union[_resource_pb2.Resource, _Mapping]]] = ...) -> None: ...

class CommitBundleRequest(_message.Message):
    __slots__ = ("json", "exposure", "allow_missing", "allow_multiple", "content", "handling", "max_bytes")
    JSON_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MULTIPLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    HANDLING_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    exposure: _exposure_pb2.Exposure
    allow_missing: bool
    allow_multiple: bool
    content: Content
    handling: Handling
    max_bytes: int
    def __init__(self, json: _Optional[bytes] = ..., exposure: _Optional[_Union[_exposure_pb2.Exposure, _Mapping]] = ..., allow_missing: _Optional[bool] = ..., allow_multiple: _Optional[bool] = ..., content: _Optional[_Union[Content, str]] = ..., handling: _Optional[_Union[Handling, str]] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class CommitBundleResponse(_message.Message):
    __slots__ = ("interaction", "results")
    INTERACTION_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    interaction: _capability_service_pb2.Interaction
    results: _containers.RepeatedCompositeFieldContainer[EntryResult]
    def __init__(self, interaction: _Optional[_Union[_capability_service_pb2.Interaction, str]] = ..., results: _Optional[_Iterable[_Union[EntryResult, _Mapping]]] = ...) -> None: ...

class EntryResult(_message.Message):
    __slots__ = ("outcome", "resource", "search", "versions", "failure", "name", "issues")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    outcome: EntryOutcome
    resource: _resource_pb2.Resource
    search: SearchResourcesResponse
    versions: ListVersionsResponse
    failure: EntryFailure
    name: str
    issues: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Issue]
    def __init__(self, outcome: _Optional[_Union[EntryOutcome, str]] = ..., resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ..., search: _Optional[_Union[SearchResourcesResponse, _Mapping]] = ..., versions: _Optional[_Union[ListVersionsResponse, _Mapping]] = ..., failure: _Optional[_Union[EntryFailure, _Mapping]] = ..., name: _Optional[str] = ..., issues: _Optional[_Iterable[_Union[_resource_pb2.Issue, _Mapping]]] = ...) -> None: ...

class EntryFailure(_message.Message):
    __slots__ = ("code", "reason", "issues")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    code: str
    reason: str
    issues: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Issue]
    def __init__(self, code: _Optional[str] = ..., reason: _Optional[str] = ..., issues: _Optional[_Iterable[_Union[_resource_pb2.Issue, _Mapping]]] = ...) -> None: ...

class ValidateResourceRequest(_message.Message):
    __slots__ = ("resource_type", "name", "json", "mode", "profiles")
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    resource_type: str
    name: str
    json: bytes
    mode: ValidationMode
    profiles: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, resource_type: _Optional[str] = ..., name: _Optional[str] = ..., json: _Optional[bytes] = ..., mode: _Optional[_Union[ValidationMode, str]] = ..., profiles: _Optional[_Iterable[str]] = ...) -> None: ...

class ValidateResourceResponse(_message.Message):
    __slots__ = ("issues", "acceptable")
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    ACCEPTABLE_FIELD_NUMBER: _ClassVar[int]
    issues: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Issue]
    acceptable: bool
    def __init__(self, issues: _Optional[_Iterable[_Union[_resource_pb2.Issue, _Mapping]]] = ..., acceptable: _Optional[bool] = ...) -> None: ...

class SearchParameter(_message.Message):
    __slots__ = ("code", "modifier", "values")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MODIFIER_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    code: str
    modifier: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, code: _Optional[str] = ..., modifier: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class SearchResourcesRequest(_message.Message):
    __slots__ = ("resource_type", "parameters", "handling", "page_token", "max_bytes", "compartment", "exposure", "explain")
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    HANDLING_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    COMPARTMENT_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    resource_type: str
    parameters: _containers.RepeatedCompositeFieldContainer[SearchParameter]
    handling: Handling
    page_token: str
    max_bytes: int
    compartment: str
    exposure: _exposure_pb2.Exposure
    explain: bool
    def __init__(self, resource_type: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[SearchParameter, _Mapping]]] = ..., handling: _Optional[_Union[Handling, str]] = ..., page_token: _Optional[str] = ..., max_bytes: _Optional[int] = ..., compartment: _Optional[str] = ..., exposure: _Optional[_Union[_exposure_pb2.Exposure, _Mapping]] = ..., explain: _Optional[bool] = ...) -> None: ...

class SearchEntry(_message.Message):
    __slots__ = ("resource", "mode")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    resource: _resource_pb2.Resource
    mode: SearchMode
    def __init__(self, resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ..., mode: _Optional[_Union[SearchMode, str]] = ...) -> None: ...

class SearchResourcesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token", "total", "issues", "applied", "explanation", "previous_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[SearchEntry]
    next_page_token: str
    total: int
    issues: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Issue]
    applied: _containers.RepeatedCompositeFieldContainer[SearchParameter]
    explanation: str
    previous_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[SearchEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total: _Optional[int] = ..., issues: _Optional[_Iterable[_Union[_resource_pb2.Issue, _Mapping]]] = ..., applied: _Optional[_Iterable[_Union[SearchParameter, _Mapping]]] = ..., explanation: _Optional[str] = ..., previous_page_token: _Optional[str] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("name", "page_size", "page_token", "max_bytes", "resource_type", "since", "at", "exposure")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    name: str
    page_size: int
    page_token: str
    max_bytes: int
    resource_type: str
    since: str
    at: str
    exposure: _exposure_pb2.Exposure
    def __init__(self, name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., max_bytes: _Optional[int] = ..., resource_type: _Optional[str] = ..., since: _Optional[str] = ..., at: _Optional[str] = ..., exposure: _Optional[_Union[_exposure_pb2.Exposure, _Mapping]] = ...) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token", "total")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Resource]
    next_page_token: str
    total: int
    def __init__(self, versions: _Optional[_Iterable[_Union[_resource_pb2.Resource, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total: _Optional[int] = ...) -> None: ...

class WatchResourcesRequest(_message.Message):
    __slots__ = ("after", "resource_types", "max_bytes")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_TYPES_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    after: int
    resource_types: _containers.RepeatedScalarFieldContainer[str]
    max_bytes: int
    def __init__(self, after: _Optional[int] = ..., resource_types: _Optional[_Iterable[str]] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class WatchResourcesResponse(_message.Message):
    __slots__ = ("changes", "sequence")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Resource]
    sequence: int
    def __init__(self, changes: _Optional[_Iterable[_Union[_resource_pb2.Resource, _Mapping]]] = ..., sequence: _Optional[int] = ...) -> None: ...

class FetchEverythingRequest(_message.Message):
    __slots__ = ("name", "start", "end", "since", "types", "page_size", "page_token", "exposure", "max_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    start: str
    end: str
    since: str
    types: _containers.RepeatedScalarFieldContainer[str]
    page_size: int
    page_token: str
    exposure: _exposure_pb2.Exposure
    max_bytes: int
    def __init__(self, name: _Optional[str] = ..., start: _Optional[str] = ..., end: _Optional[str] = ..., since: _Optional[str] = ..., types: _Optional[_Iterable[str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., exposure: _Optional[_Union[_exposure_pb2.Exposure, _Mapping]] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class FetchEverythingResponse(_message.Message):
    __slots__ = ("entries", "next_page_token", "issues")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[SearchEntry]
    next_page_token: str
    issues: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Issue]
    def __init__(self, entries: _Optional[_Iterable[_Union[SearchEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., issues: _Optional[_Iterable[_Union[_resource_pb2.Issue, _Mapping]]] = ...) -> None: ...

class GenerateDocumentRequest(_message.Message):
    __slots__ = ("name", "persist", "base_url", "exposure", "max_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERSIST_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    persist: bool
    base_url: str
    exposure: _exposure_pb2.Exposure
    max_bytes: int
    def __init__(self, name: _Optional[str] = ..., persist: _Optional[bool] = ..., base_url: _Optional[str] = ..., exposure: _Optional[_Union[_exposure_pb2.Exposure, _Mapping]] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class GenerateDocumentResponse(_message.Message):
    __slots__ = ("json", "stored")
    JSON_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    stored: _resource_pb2.Resource
    def __init__(self, json: _Optional[bytes] = ..., stored: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ...) -> None: ...

class FetchBinaryRequest(_message.Message):
    __slots__ = ("name", "version_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    version_id: str
    def __init__(self, name: _Optional[str] = ..., version_id: _Optional[str] = ...) -> None: ...

class FetchBinaryResponse(_message.Message):
    __slots__ = ("content", "chunk")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    content: BinaryContent
    chunk: bytes
    def __init__(self, content: _Optional[_Union[BinaryContent, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class BinaryContent(_message.Message):
    __slots__ = ("resource", "content_type", "size", "security_context")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SECURITY_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    resource: _resource_pb2.Resource
    content_type: str
    size: int
    security_context: str
    def __init__(self, resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ..., content_type: _Optional[str] = ..., size: _Optional[int] = ..., security_context: _Optional[str] = ...) -> None: ...
