from toro_core._gen.toro.v1 import exposure_pb2 as _exposure_pb2
from toro_core._gen.toro.v1 import resource_pb2 as _resource_pb2
from toro_core._gen.toro.v1 import resource_service_pb2 as _resource_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OperationArgument(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class InvokeOperationRequest(_message.Message):
    __slots__ = ("operation", "resource_type", "name", "arguments", "parameters", "page_token", "exposure", "base_url", "max_bytes", "handling")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPOSURE_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    HANDLING_FIELD_NUMBER: _ClassVar[int]
    operation: str
    resource_type: str
    name: str
    arguments: _containers.RepeatedCompositeFieldContainer[OperationArgument]
    parameters: bytes
    page_token: str
    exposure: _exposure_pb2.Exposure
    base_url: str
    max_bytes: int
    handling: _resource_service_pb2.Handling
    def __init__(self, operation: _Optional[str] = ..., resource_type: _Optional[str] = ..., name: _Optional[str] = ..., arguments: _Optional[_Iterable[_Union[OperationArgument, _Mapping]]] = ..., parameters: _Optional[bytes] = ..., page_token: _Optional[str] = ..., exposure: _Optional[_Union[_exposure_pb2.Exposure, _Mapping]] = ..., base_url: _Optional[str] = ..., max_bytes: _Optional[int] = ..., handling: _Optional[_Union[_resource_service_pb2.Handling, str]] = ...) -> None: ...

class InvokeOperationResponse(_message.Message):
    __slots__ = ("json", "page", "stored")
    JSON_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    page: _resource_service_pb2.SearchResourcesResponse
    stored: _resource_pb2.Resource
    def __init__(self, json: _Optional[bytes] = ..., page: _Optional[_Union[_resource_service_pb2.SearchResourcesResponse, _Mapping]] = ..., stored: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ...) -> None: ...
