from toro_core._gen.toro.v1 import capability_service_pb2 as _capability_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Exposure(_message.Message):
    __slots__ = ("types", "interactions")
    TYPES_FIELD_NUMBER: _ClassVar[int]
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    types: _containers.RepeatedCompositeFieldContainer[ExposedType]
    interactions: _containers.RepeatedScalarFieldContainer[_capability_service_pb2.Interaction]
    def __init__(self, types: _Optional[_Iterable[_Union[ExposedType, _Mapping]]] = ..., interactions: _Optional[_Iterable[_Union[_capability_service_pb2.Interaction, str]]] = ...) -> None: ...

class ExposedType(_message.Message):
    __slots__ = ("resource_type", "interactions")
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    resource_type: str
    interactions: _containers.RepeatedScalarFieldContainer[_capability_service_pb2.Interaction]
    def __init__(self, resource_type: _Optional[str] = ..., interactions: _Optional[_Iterable[_Union[_capability_service_pb2.Interaction, str]]] = ...) -> None: ...
