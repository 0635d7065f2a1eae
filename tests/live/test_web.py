"""Who is let in by the server of a live page, and what it answers; over real sockets."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.asking import Answered, ask
from tests.run_logs import Make

from convload.errors import UsageError
from convload.live.gates import GateWatch
from convload.live.page import Page
from convload.live.web import WebShow
from convload.plan.plan import assemble
from convload.results.progress import Progress
from convload.run.by_hand import Wish

HOSTILE = "<script>alert(1)</script>\u202e"


class Served:
    """A page of a run that is told by hand, and its server."""

    def __init__(self, **plan: Any) -> None:
        self.progress, self.gates = Progress(), GateWatch()
        self.asked: list[Wish] = []
        made = assemble(None, {}, {"rate": 100, "name": "<b>smoke"} | plan)
        page = Page(made, self.progress, self.gates, self.refusal)
        self.show = WebShow(page, self.refusal, self.asked.append, "127.0.0.1", 0)
        self.port = int(self.show.address.split(":")[2].split("/")[0])
        self.path = "/" + self.show.address.split("/", 3)[3]
        self.own = {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}

    def refusal(self, wish: Wish) -> str:
        return "the run is at its end" if wish.do == "extend" else ""

    def post(self, body: str, **headers: str) -> Answered:
        return ask(self.port, f"{self.path}wishes", self.own | headers, "POST", body)

    def tell(self, *records: Any) -> None:
        with self.progress.lock:
            for record in records:
                self.progress._take(record)
        self.show.update(self.progress, records)

    def events(self, count: int) -> list[tuple[str, Any]]:
        """Returns the first events that a page that opens now is sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", f"{self.path}events")
        answer = connection.getresponse()
        found: list[tuple[str, Any]] = []
        while len(found) < count:
            name, data, _ = (answer.readline().decode() for _ in range(3))
            found.append((name.removeprefix("event: ").strip(), json.loads(data.removeprefix("data: "))))
        answer.close()
        connection.close()
        return found


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.show.close()


def test_whoever_has_the_address_sees_the_page(served: Served) -> None:
    page = ask(served.port, served.path)

    assert page.status == 200
    assert "&lt;b&gt;smoke" in page.body
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize("path", ["/", "/x/", "//", "/events", "/x/events", "/favicon.ico", "/..", "/%00/"])
def test_without_the_token_there_is_nothing_but_a_refusal(path: str, served: Served) -> None:
    answer = ask(served.port, path)

    assert (answer.status, answer.body) == (403, "")


STRANGERS = {
    "a name that points here": {"Host": "evil.example:80"},
    "no name at all": {"Host": ""},
    "a page elsewhere": {"Origin": "http://evil.example"},
    "a page of another port": {"Origin": "http://127.0.0.1:1"},
    "a file": {"Origin": "null"},
    "a link from elsewhere": {"Sec-Fetch-Site": "cross-site"},
    "a page of the same machine": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("headers", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_stranger_with_the_token_is_refused(headers: dict[str, str], served: Served) -> None:
    for name in ("", "events", "report"):
        assert ask(served.port, served.path + name, headers).status == 403
    assert served.post('{"do":"stop"}', **headers).status == 403
    assert served.asked == []


def test_a_wish_without_an_origin_is_refused(served: Served) -> None:
    headers = {"Content-Type": "application/json"}

    assert ask(served.port, f"{served.path}wishes", headers, "POST", '{"do":"stop"}').status == 403


def test_a_wish_is_taken_once_and_one_that_cannot_be_is_refused(served: Served) -> None:
    assert served.post('{"do":"stop"}').status == 202
    assert served.asked == [Wish("stop")]
    refused = served.post('{"do":"extend"}')
    assert (refused.status, refused.body) == (409, "Refused: the run is at its end.")
    assert served.asked == [Wish("stop")]


BAD = {
    "no JSON": ("stop", {}, 400),
    "another wish": ('{"do":"format"}', {}, 400),
    "more than a wish": ('{"do":"stop","now":1}', {}, 400),
    "no rate": ('{"do":"load","value":-1}', {}, 400),
    "a form": ('{"do":"stop"}', {"Content-Type": "text/plain"}, 415),
    "long": ('{"do":"stop"' + " " * 2000 + "}", {}, 413),
}


@pytest.mark.parametrize(("body", "headers", "status"), BAD.values(), ids=BAD.keys())
def test_what_is_no_wish_changes_nothing(body: str, headers: dict[str, str], status: int, served: Served) -> None:
    assert served.post(body, **headers).status == status
    assert served.asked == []


def test_a_page_is_told_state_and_charts_and_then_what_is_new(make: Make, served: Served) -> None:
    log = make.opened(lambda _, second: {"failed": second % 3}, gates=["create.p99 < 250ms"])
    served.tell(log.manifest, *log.records[:6])
    served.gates.judge([log.manifest, *log.records[:6]])

    (first, state), (second, charts) = served.events(2)

    assert (first, second) == ("state", "charts")
    assert (state["elapsed_s"], state["ends_s"], state["stage"], state["ended"]) == (5.0, 10.0, "hold", False)
    assert state["gates"][0]["gate"] == "create.p99 < 250ms"
    assert state["refusals"]["extend"] == "the run is at its end"
    assert state["refusals"]["stop"] == ""
    tiles = {name: (figure, more) for name, figure, _, more in state["tiles"]}
    assert tiles["errors"][1] == "http_503 4"
    assert tiles["response p50"][0] == "1.05"
    assert len(charts["data"]["t"]) == 5
    assert {"heat", "latency", "throughput"} <= {chart["name"] for chart in charts["charts"]}


def test_what_a_target_says_is_made_visible_and_no_markup(make: Make, served: Served) -> None:
    cells = [make.cell([1000], HOSTILE)]
    served.tell(make.manifest(), make.interval(0, cells, 1))

    ((_, state),) = served.events(1)

    assert "\u202e" not in json.dumps(state, ensure_ascii=False)
    assert "\\u202e" in json.dumps(state, ensure_ascii=False)


def test_there_is_no_report_before_the_end(served: Served) -> None:
    assert ask(served.port, f"{served.path}report").status == 404


def test_an_address_that_is_taken_is_named(served: Served) -> None:
    page = Page(assemble(None, {}, {}), Progress(), GateWatch(), served.refusal)
    with pytest.raises(UsageError, match=f"--web 127.0.0.1:{served.port}: cannot be listened on"):
        WebShow(page, served.refusal, served.asked.append, "127.0.0.1", served.port)
