"""The description of the routes is the one in docs/, and the real application does what it says, whatever is sent."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import ignored_auth

from terminal.collector import openapi
from terminal.collector.enrolment import Enrolment
from terminal.journal.records import Started
from terminal.sync.trust import BUNDLES_PATH
from terminal.sync.wire import BATCH_TYPE
from tests.properties import examples
from tests.terminal.collector.office import HandClock, Terminal, Town
from tests.terminal.collector.test_service import running
from tests.terminal.journal.samples import INTENT, day

DOCUMENT = Path(__file__).parents[3] / "docs/collector-openapi.json"


SEVEN = Terminal(7, HandClock())
SEVEN.write(*day(3))


def _batches() -> st.SearchStrategy[bytes]:
    """Batches of an enrolled terminal: any stretch of its rows, so also what is held and what leaves a gap."""
    spans = st.tuples(st.integers(1, 6), st.integers(0, 6))
    return spans.map(lambda span: SEVEN.batch(span[0], max(span[0] - 1, span[1])))


schemathesis.openapi.media_type(BATCH_TYPE, _batches())


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("collector"))
    seven = town.terminal(7)
    seven.write(Started(INTENT.at_ms, "x"), *day(2))
    town.send(seven)
    yield town
    town.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The document as a running process serves it, and that process's token."""
    folder = tmp_path_factory.mktemp("served")
    Enrolment(folder / "terminals").enrol(7, SEVEN.key.public_key())
    (folder / "bundles/metadata").mkdir(parents=True)
    with running(folder) as (_, url):
        token = (folder / "operator.token").read_text().strip()
        yield schemathesis.openapi.from_url(url + openapi.PATH), {"Authorization": f"Bearer {token}"}


OPERATIONS = [(path, method) for path, methods in openapi.document()["paths"].items() for method in methods]


@pytest.mark.hypothesis
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda part: part)
def test_the_application_does_what_its_document_says(served, path, method):
    schema, token = served
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    cases = (schema[path][method].as_strategy(generation_mode=mode) for mode in modes)

    @given(case=st.one_of(*cases))
    @examples(
        30,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def hold(case: schemathesis.Case) -> None:
        if not path.startswith("/v1"):
            case.headers.update(token)
        # It takes our token for one it made up; test_operator.py says what happens without the right one.
        case.call_and_validate(excluded_checks=[ignored_auth])

    hold()


def test_the_document_in_docs_is_the_one_that_is_served(town):
    served = town.client().get(openapi.PATH)
    assert served.headers["content-type"] == "application/json"
    assert served.text + "\n" == DOCUMENT.read_text(), (
        "python -m terminal.collector.openapi > docs/collector-openapi.json"
    )


def test_every_route_is_described(town):
    described = {
        (path, method.upper()) for path, methods in openapi.document()["paths"].items() for method in methods
    }
    routes = set()
    for route in town.app.routes:
        for each in getattr(route, "routes", None) or [route]:
            prefix = "" if each is route else route.path
            routes |= {(prefix + each.path, method) for method in each.methods - {"HEAD"}}
    bundles = {(path, method) for path, method in described if path.startswith(BUNDLES_PATH)}
    assert len(bundles) == 3, "one route of an application that has a repository; this one has none"
    assert routes - {(openapi.PATH, "GET")} == described - bundles


def test_what_the_document_calls_a_shape_is_what_is_sent(town):
    client = town.client()
    shapes = openapi.document()["components"]["schemas"]
    for path, name in (("status", "CollectorStatus"), ("report", "Report"), ("days/2026-02-02", "DayView")):
        sent = msgspec.json.decode(client.get(f"/operator/v1/{path}").content)
        assert set(sent) == set(shapes[name]["properties"]), name
