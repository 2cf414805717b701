import pytest

from toro_core.definitions import Definitions, load
from toro_core.search.extract import Extractor


@pytest.fixture(scope="package")
def definitions() -> Definitions:
    return load()


@pytest.fixture(scope="package")
def extractor(definitions: Definitions) -> Extractor:
    return Extractor(definitions, ["https://toro.example/fhir"])
