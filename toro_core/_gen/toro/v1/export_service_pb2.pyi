import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from toro_core._gen.toro.v1 import resource_pb2 as _resource_pb2
from toro_core._gen.toro.v1 import resource_service_pb2 as _resource_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_LEVEL_UNSPECIFIED: _ClassVar[ExportLevel]
    EXPORT_LEVEL_SYSTEM: _ClassVar[ExportLevel]
    EXPORT_LEVEL_PATIENT: _ClassVar[ExportLevel]
    EXPORT_LEVEL_GROUP: _ClassVar[ExportLevel]

class ExportState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_STATE_UNSPECIFIED: _ClassVar[ExportState]
    EXPORT_STATE_RUNNING: _ClassVar[ExportState]
    EXPORT_STATE_COMPLETE: _ClassVar[ExportState]
    EXPORT_STATE_FAILED: _ClassVar[ExportState]

class ExportFileKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_FILE_KIND_UNSPECIFIED: _ClassVar[ExportFileKind]
    EXPORT_FILE_KIND_OUTPUT: _ClassVar[ExportFileKind]
    EXPORT_FILE_KIND_DELETED: _ClassVar[ExportFileKind]
    EXPORT_FILE_KIND_ERROR: _ClassVar[ExportFileKind]
EXPORT_LEVEL_UNSPECIFIED: ExportLevel
EXPORT_LEVEL_SYSTEM: ExportLevel
EXPORT_LEVEL_PATIENT: ExportLevel
EXPORT_LEVEL_GROUP: ExportLevel
EXPORT_STATE_UNSPECIFIED: ExportState
EXPORT_STATE_RUNNING: ExportState
EXPORT_STATE_COMPLETE: ExportState
EXPORT_STATE_FAILED: ExportState
EXPORT_FILE_KIND_UNSPECIFIED: ExportFileKind
EXPORT_FILE_KIND_OUTPUT: ExportFileKind
EXPORT_FILE_KIND_DELETED: ExportFileKind
EXPORT_FILE_KIND_ERROR: ExportFileKind

class TypeFilter(_message.Message):
    __slots__ = ("resource_type", "parameters")
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    resource_type: str
    parameters: _containers.RepeatedCompositeFieldContainer[_resource_service_pb2.SearchParameter]
    def __init__(self, resource_type: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[_resource_service_pb2.SearchParameter, _Mapping]]] = ...) -> None: ...

class StartExportRequest(_message.Message):
    __slots__ = ("level", "group", "types", "since", "until", "type_filters", "elements", "patients", "associated_data", "output_format", "unknown", "handling", "exposed_types", "request_url", "base_url")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    TYPE_FILTERS_FIELD_NUMBER: _ClassVar[int]
    ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    PATIENTS_FIELD_NUMBER: _ClassVar[int]
    ASSOCIATED_DATA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    HANDLING_FIELD_NUMBER: _ClassVar[int]
    EXPOSED_TYPES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_URL_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    level: ExportLevel
    group: str
    types: _containers.RepeatedScalarFieldContainer[str]
    since: str
    until: str
    type_filters: _containers.RepeatedCompositeFieldContainer[TypeFilter]
    elements: _containers.RepeatedScalarFieldContainer[str]
    patients: _containers.RepeatedScalarFieldContainer[str]
    associated_data: _containers.RepeatedScalarFieldContainer[str]
    output_format: str
    unknown: _containers.RepeatedScalarFieldContainer[str]
    handling: _resource_service_pb2.Handling
    exposed_types: _containers.RepeatedScalarFieldContainer[str]
    request_url: str
    base_url: str
    def __init__(self, level: _Optional[_Union[ExportLevel, str]] = ..., group: _Optional[str] = ..., types: _Optional[_Iterable[str]] = ..., since: _Optional[str] = ..., until: _Optional[str] = ..., type_filters: _Optional[_Iterable[_Union[TypeFilter, _Mapping]]] = ..., elements: _Optional[_Iterable[str]] = ..., patients: _Optional[_Iterable[str]] = ..., associated_data: _Optional[_Iterable[str]] = ..., output_format: _Optional[str] = ..., unknown: _Optional[_Iterable[str]] = ..., handling: _Optional[_Union[_resource_service_pb2.Handling, str]] = ..., exposed_types: _Optional[_Iterable[str]] = ..., request_url: _Optional[str] = ..., base_url: _Optional[str] = ...) -> None: ...

class StartExportResponse(_message.Message):
    __slots__ = ("export_id",)
    EXPORT_ID_FIELD_NUMBER: _ClassVar[int]
    export_id: str
    def __init__(self, export_id: _Optional[str] = ...) -> None: ...

class GetExportRequest(_message.Message):
    __slots__ = ("export_id",)
    EXPORT_ID_FIELD_NUMBER: _ClassVar[int]
    export_id: str
    def __init__(self, export_id: _Optional[str] = ...) -> None: ...

class ExportFile(_message.Message):
    __slots__ = ("kind", "resource_type", "name", "count", "size", "url")
    KIND_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    kind: ExportFileKind
    resource_type: str
    name: str
    count: int
    size: int
    url: str
    def __init__(self, kind: _Optional[_Union[ExportFileKind, str]] = ..., resource_type: _Optional[str] = ..., name: _Optional[str] = ..., count: _Optional[int] = ..., size: _Optional[int] = ..., url: _Optional[str] = ...) -> None: ...

class GetExportResponse(_message.Message):
    __slots__ = ("state", "percent", "resources", "bytes", "transaction_time", "expire_time", "request_url", "requires_access_token", "output_format", "files", "issues", "retry_after")
    STATE_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_URL_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    state: ExportState
    percent: int
    resources: int
    bytes: int
    transaction_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    request_url: str
    requires_access_token: bool
    output_format: str
    files: _containers.RepeatedCompositeFieldContainer[ExportFile]
    issues: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Issue]
    retry_after: int
    def __init__(self, state: _Optional[_Union[ExportState, str]] = ..., percent: _Optional[int] = ..., resources: _Optional[int] = ..., bytes: _Optional[int] = ..., transaction_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_url: _Optional[str] = ..., requires_access_token: _Optional[bool] = ..., output_format: _Optional[str] = ..., files: _Optional[_Iterable[_Union[ExportFile, _Mapping]]] = ..., issues: _Optional[_Iterable[_Union[_resource_pb2.Issue, _Mapping]]] = ..., retry_after: _Optional[int] = ...) -> None: ...

class CancelExportRequest(_message.Message):
    __slots__ = ("export_id",)
    EXPORT_ID_FIELD_NUMBER: _ClassVar[int]
    export_id: str
    def __init__(self, export_id: _Optional[str] = ...) -> None: ...

class CancelExportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FetchExportFileRequest(_message.Message):
    __slots__ = ("export_id", "name", "offset", "limit", "only_describe")
    EXPORT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ONLY_DESCRIBE_FIELD_NUMBER: _ClassVar[int]
    export_id: str
    name: str
    offset: int
    limit: int
    only_describe: bool
    def __init__(self, export_id: _Optional[str] = ..., name: _Optional[str] = ..., offset: _Optional[int] = ..., limit: _Optional[int] = ..., only_describe: _Optional[bool] = ...) -> None: ...

class FetchExportFileResponse(_message.Message):
    __slots__ = ("file", "chunk", "media_type")
    FILE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    file: ExportFile
    chunk: bytes
    media_type: str
    def __init__(self, file: _Optional[_Union[ExportFile, _Mapping]] = ..., chunk: _Optional[bytes] = ..., media_type: _Optional[str] = ...) -> None: ...
