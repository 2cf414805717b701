"""Import of FHIR files: `sources` reads them, `bundles` takes Bundles apart, `preparing` makes ready, `sinks` store."""

from toro_core.importing.apart import import_files_apart, jobs_for
from toro_core.importing.deletions import delete_listed
from toro_core.importing.frames import Terms
from toro_core.importing.job import Report, import_files, import_resources
from toro_core.importing.manifests import read_manifest
from toro_core.importing.sinks import CoreSink, Outcome, Sink, StorageSink
from toro_core.importing.sources import Incoming, NothingToImport, Refused, find_files, read_file
from toro_core.importing.workers import open_workers

__all__ = [
    "CoreSink",
    "Incoming",
    "NothingToImport",
    "Outcome",
    "Refused",
    "Report",
    "Sink",
    "StorageSink",
    "Terms",
    "delete_listed",
    "find_files",
    "import_files",
    "import_files_apart",
    "import_resources",
    "jobs_for",
    "open_workers",
    "read_file",
    "read_manifest",
]
