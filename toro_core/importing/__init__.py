"""Import of FHIR files: `sources` reads them, `bundles` takes Bundles apart, `sinks` stores what they hold."""

from toro_core.importing.job import Report, delete_listed, import_files, import_resources
from toro_core.importing.sinks import CoreSink, Outcome, Sink, StorageSink
from toro_core.importing.sources import Incoming, Refused, find_files, read_file

__all__ = [
    "CoreSink",
    "Incoming",
    "Outcome",
    "Refused",
    "Report",
    "Sink",
    "StorageSink",
    "delete_listed",
    "find_files",
    "import_files",
    "import_resources",
    "read_file",
]
