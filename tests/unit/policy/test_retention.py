"""logging.streams: what is said of a stream, by what its sink was seen to do and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from aiqms.api.conditions import Reason
from aiqms.api.logging import LogSeen, Protection
from aiqms.policy.decide import decide
from aiqms.policy.facts import Input
from aiqms.policy.logs import FOREVER, Checked, Sample
from aiqms.policy.retention import span
from tests.unit.policy.given import after, approve, change, cleared, day, workload
from tests.unit.policy.sinks import DUTY, SERVER, STREAM, VL, WAYS, ask, asking, checked, logged, proof, sample, sent_to

TROUBLE = (Reason.SINK_UNREACHABLE, "https://logs.bank.example:9428 did not answer within 10 s")
KEPT = "VictoriaLogs v1.51.1 keeps inference for 200d (-retentionPeriod=200d), at least 184d are asked; a canary came back, sent directly"
MORE = "start it with -retentionPeriod=184d or more"
IMMUTABLE = STREAM | {"protection": "Immutable"}
OPTIONAL = STREAM | {"canary": "Optional"}
OWN = sent_to({"victoriaLogs": VL["victoriaLogs"] | {"credentials": {"secretName": "reader"}}})
FIELDS = STREAM | {"requiredFields": ["request_id", "subject"]}
OF_FIELDS = ask(fields=("request_id", "subject"))
OF_IMMUTABLE = ask(protection=Protection.IMMUTABLE)
GONE = "a canary sent to VictoriaLogs v1.51.1 did not come back: it could not be read within 60 s"
LOST = {"delivery": None, "lost": "it could not be read within 60 s"}

LACKING = ([("subject",), ("request_id",)], [("request_id",), ("subject",)], [("subject",)])  # fields that two lines of a sample lack, in three samples


def said(of: Input, at: float = 1.5) -> tuple[str, str, str]:
    """Of the stream."""
    (row,) = [c for c in decide(of, day(at)).status.controls if c.id == "logging/inference"]
    return row.result, row.reason, row.message


CASES: Mapping[str, tuple[Input, tuple[str, str, str]]] = {
    "kept for longer than is asked": (logged(), ("Pass", "LogsKept", KEPT)),
    "kept without end": (
        logged(seen=checked(proof(kept=FOREVER, setting="no rule"))),
        ("Pass", "LogsKept", KEPT.replace("for 200d (-retentionPeriod=200d)", "without end (no rule)")),
    ),
    "kept for exactly the period": (
        logged(seen=checked(proof(kept=timedelta(days=184), setting="-retentionPeriod=184d"))),
        ("Pass", "LogsKept", KEPT.replace("200d", "184d")),
    ),
    "kept for a second less": (
        logged(seen=checked(proof(kept=timedelta(days=184, seconds=-1), setting="x"))),
        ("Fail", "RetentionTooShort", f"VictoriaLogs v1.51.1 keeps inference for 15897599s (x), and 184d are asked: {MORE}"),
    ),
    "kept for a month, which is no six of them": (
        logged(seen=checked(proof(kept=timedelta(days=30), setting="-retentionPeriod=30d"))),
        ("Fail", "RetentionTooShort", f"VictoriaLogs v1.51.1 keeps inference for 30d (-retentionPeriod=30d), and 184d are asked: {MORE}"),
    ),
    "an old line was dropped, whatever the setting says": (
        logged(seen=checked(proof(delivery=replace(proof().delivery, aged=False)))),  # type: ignore[type-var]
        (
            "Fail",
            "RetentionTooShort",
            f"VictoriaLogs v1.51.1 dropped a line dated 183d ago, whatever it says (-retentionPeriod=200d), and 184d are asked: {MORE}",
        ),
    ),
    "a line exactly as old as the period was dropped": (
        logged(seen=checked(proof(delivery=replace(WAYS, age=timedelta(days=184), aged=False)))),
        ("Pass", "LogsKept", KEPT),
    ),
    "a store that takes no old line": (logged(seen=checked(proof(delivery=replace(WAYS, age=None, aged=False)))), ("Pass", "LogsKept", KEPT)),
    "an older line was dropped than this stream has to be kept": (
        logged(asking(STREAM | {"retention": "30d"}), seen=checked(proof(delivery=replace(proof().delivery, aged=False)))),  # type: ignore[type-var]
        ("Pass", "LogsKept", KEPT.replace("184d are", "30d are")),
    ),
    "a full disk ends lines early": (
        logged(seen=checked(proof(early="-retention.maxDiskSpaceUsageBytes=1GB: set it to 0"))),
        ("Fail", "RetentionMayEndEarly", "VictoriaLogs v1.51.1: -retention.maxDiskSpaceUsageBytes=1GB: set it to 0"),
    ),
    "not protected as asked": (
        logged(asking(IMMUTABLE), seen=checked(proof(protection=Protection.DELETABLE, unprotected="use s3 with Object Lock"), of=OF_IMMUTABLE)),
        ("Fail", "NotProtected", "Immutable protection is asked, and VictoriaLogs v1.51.1 shows Deletable: use s3 with Object Lock"),
    ),
    "protected as asked": (
        logged(asking(IMMUTABLE), seen=checked(proof(protection=Protection.IMMUTABLE, shown="a deletion was refused"), of=OF_IMMUTABLE)),
        ("Pass", "LogsKept", KEPT.replace("; a canary", "; protection Immutable: a deletion was refused; a canary")),
    ),
    "protected as asked, by a store that does not say how": (
        logged(asking(IMMUTABLE), seen=checked(proof(protection=Protection.IMMUTABLE), of=OF_IMMUTABLE)),
        ("Pass", "LogsKept", KEPT),
    ),
    "protected, which nobody asks": (logged(seen=checked(proof(protection=Protection.IMMUTABLE, shown="a deletion was refused"))), ("Pass", "LogsKept", KEPT)),
    "fields are missing in lines that may be anybody's": (
        logged(asking(FIELDS), seen=checked(proof(sample=sample(("r-17", ("subject",)))), of=OF_FIELDS)),
        ("Fail", "FieldsMissing", "1 of 20 recent lines lack required fields: subject; have the server log them"),
    ),
    "fields are missing": (
        logged(asking(FIELDS), logging=OWN, seen=checked(proof(sample=sample(("r-17", ("subject",)), ("r-18", ("subject", "request_id")))), of=OF_FIELDS)),
        ("Fail", "FieldsMissing", "2 of 20 recent lines lack required fields: r-17 lacks subject; r-18 lacks subject and request_id; have the server log them"),
    ),
    "fields are missing that only another procedure asks for": (
        logged(asking(FIELDS), seen=checked(proof(sample=sample(("r-17", ("model",)))), of=ask(fields=("model", "request_id", "subject")))),
        ("Pass", "LogsKept", f"{KEPT}; recent lines have the required fields"),
    ),
    "fields cannot be seen that only another procedure asks for": (
        logged(seen=checked(proof(sample=sample(unreadable="lines are no JSON")), of=OF_FIELDS)),
        ("Pass", "LogsKept", KEPT),
    ),
    "no line was seen yet": (
        logged(asking(FIELDS), seen=checked(proof(sample=Sample()), of=OF_FIELDS)),
        ("Pass", "LogsKept", f"{KEPT}; no line of it was seen yet"),
    ),
    "no sample was taken yet": (logged(asking(FIELDS), seen=checked(of=OF_FIELDS)), ("Pass", "LogsKept", f"{KEPT}; no line of it was seen yet")),
    "fields cannot be seen": (
        logged(asking(FIELDS), seen=checked(proof(sample=sample(unreadable="lines are no JSON")), of=OF_FIELDS)),
        ("Error", "NotVerifiable", "not verified: the fields of its lines cannot be seen: lines are no JSON; or the procedure says logging.unverified: Warned"),
    ),
    "a store that proves no period": (
        logged(seen=checked(proof(kept=None, setting="a volume", remedy="use a log store", delivery=None), came=None)),
        (
            "Error",
            "NotVerifiable",
            "not verified: VictoriaLogs v1.51.1 proves no period (a volume): use a log store; or the procedure says logging.unverified: Warned",
        ),
    ),
    "a store that proves no period, which is a warning": (
        logged(asking(unverified="Warned"), seen=checked(proof(kept=None, setting="a volume", remedy="use a log store", delivery=None), came=None)),
        ("Warn", "NotVerifiable", "not verified: VictoriaLogs v1.51.1 proves no period (a volume): use a log store"),
    ),
    "the canary never came back": (logged(seen=checked(proof(**LOST), came=None)), ("Error", "CanaryLost", GONE)),
    "the canary did not come back, and did a while ago": (
        logged(seen=checked(proof(**LOST), at=1.4, came=1)),
        ("Warn", "CanaryLost", f"{GONE}; the last one that did counts until 2027-01-03 00:00:00 UTC"),
    ),
    "the canary did not come back, and did too long ago": (logged(seen=checked(proof(**LOST), at=1.4, came=0.5)), ("Error", "CanaryLost", GONE)),
    "the canary never came back, where what cannot be verified is a warning": (
        logged(asking(unverified="Warned"), seen=checked(proof(**LOST, kept=None), came=None)),
        ("Error", "CanaryLost", GONE),
    ),
    "the canary came back later than this procedure gives it": (
        logged(asking(canary={"within": "1s"})),
        (
            "Warn",
            "CanaryLost",
            "a canary sent to VictoriaLogs v1.51.1 did not come back: it took longer than 1s; the last one that did counts until 2027-01-03 00:00:00 UTC",
        ),
    ),
    "the canary came back just in time": (
        logged(asking(canary={"within": "1s"}), seen=checked(proof(delivery=replace(WAYS, seconds=1.0)))),
        ("Pass", "LogsKept", KEPT),
    ),
    "no canary was sent": (
        logged(seen=checked(proof(delivery=None), came=None)),
        ("Error", "CanaryLost", "a canary sent to VictoriaLogs v1.51.1 did not come back: none was sent"),
    ),
    "an optional canary never came back": (logged(asking(OPTIONAL), seen=checked(proof(**LOST), came=None)), ("Warn", "CanaryLost", GONE)),
    "an optional canary never came back, and fields are missing": (
        logged(asking(OPTIONAL | FIELDS), seen=checked(proof(**LOST, sample=sample(("r-17", ("subject",)))), of=OF_FIELDS, came=None)),
        ("Fail", "FieldsMissing", "1 of 20 recent lines lack required fields: subject; have the server log them"),
    ),
    "it cannot be asked just now": (
        logged(seen=checked(trouble=TROUBLE)),
        ("Warn", "SinkUnreachable", f"{TROUBLE[1]}; what it answered last counts until 2027-01-03 00:00:00 UTC"),
    ),
    "it could not be asked for too long": (
        logged(seen=checked(at=0.5, came=0.5, trouble=TROUBLE)),
        ("Error", "CheckTooOld", f"the last answer is of 2027-01-01 12:00:00 UTC and counts for 24h; since then: {TROUBLE[1]}"),
    ),
    "no check ended for too long": (
        logged(seen=checked(at=0.5, came=0.5)),
        ("Error", "CheckTooOld", "the last answer is of 2027-01-01 12:00:00 UTC and counts for 24h; since then: no later check has ended"),
    ),
    "what it answered is bad, and it cannot be asked just now": (
        logged(seen=checked(proof(kept=timedelta(days=30)), trouble=TROUBLE)),
        ("Fail", "RetentionTooShort", f"VictoriaLogs v1.51.1 keeps inference for 30d (-retentionPeriod=200d), and 184d are asked: {MORE}"),
    ),
    "it never could be asked": (logged(seen=checked(None, came=None, trouble=TROUBLE)), ("Error", *TROUBLE)),
    "it is being asked": (logged(seen=Checked()), ("Error", "CheckPending", "the log store is being asked for the first time")),
    "it is being asked since a moment ago, and nothing is cleared yet": (
        logged(seen=Checked(since=day(1.5))),
        ("Error", "CheckPending", "the log store is being asked for the first time"),
    ),
    "it was asked for less": (
        logged(seen=checked(of=ask(retention=timedelta(days=30)))),
        ("Error", "CheckPending", "the log store is being asked for the first time"),
    ),
    "the stream has no sink": (
        logged(logging={"streams": []}),
        ("Fail", "StreamUnregistered", "nobody knows where stream inference lies: name its sink in spec.logging.streams"),
    ),
    "another stream of the register lies elsewhere": (
        logged(logging={"streams": [{"name": "audit", "sink": {"loki": {"endpoint": "https://evil.example", "selector": "{}"}}}, *sent_to()["streams"]]}),
        ("Pass", "LogsKept", KEPT),
    ),
    "a server that the procedure does not allow": (
        logged(logging=sent_to({"loki": {"endpoint": "https://evil.example", "selector": "{}"}})),
        (
            "Fail",
            "EndpointNotAllowed",
            "https://evil.example is no server that logging.endpoints of high-risk allows, so it is not asked: "
            "name one that it allows, or have the platform team add it there",
        ),
    ),
    "a collector that the procedure does not allow": (
        logged(logging=sent_to(collector="https://evil.example")),
        (
            "Fail",
            "EndpointNotAllowed",
            "https://evil.example is no server that logging.endpoints of high-risk allows, so it is not asked: "
            "name one that it allows, or have the platform team add it there",
        ),
    ),
    "a volume's collector that the procedure does not allow": (
        logged(logging=sent_to({"persistentVolumeClaim": {"claimName": "logs"}}, collector="https://evil.example")),
        (
            "Fail",
            "EndpointNotAllowed",
            "https://evil.example is no server that logging.endpoints of high-risk allows, so it is not asked: "
            "name one that it allows, or have the platform team add it there",
        ),
    ),
    "a namespace that is not governed": (
        replace(logged(), governed=False),
        ("Skip", "NamespaceNotGoverned", "the log store is asked once namespace lending is governed"),
    ),
}


@pytest.mark.parametrize(("of", "wanted"), CASES.values(), ids=CASES.keys())
def test_what_is_said_of_a_stream(of: Input, wanted: tuple[str, str, str]) -> None:
    assert said(of) == wanted


@pytest.mark.parametrize(("of", "wanted"), CASES.values(), ids=CASES.keys())
def test_invariant_7_only_what_passes_or_warns_clears(of: Input, wanted: tuple[str, str, str]) -> None:
    assert bool(cleared(decide(of, day(1.5)), day(1.5))) == (wanted[0] in ("Pass", "Warn"))


def test_each_procedure_is_judged_on_its_own() -> None:
    of = logged(asking(), asking(STREAM | {"retention": "365d"}, name="stricter", obligations=[DUTY]), seen=checked(of=ask(retention=timedelta(days=365))))
    found = [(c.procedure, c.result, c.obligations) for c in decide(of, day(1.5)).status.controls if c.id == "logging/inference"]
    assert found == [("high-risk", "Pass", []), ("stricter", "Fail", ["eu-ai-act 19(1)"])]


def test_a_condition_sums_the_streams_up() -> None:
    (found,) = [c for c in decide(logged(seen=Checked()), day(1.5)).status.conditions if c.type == "LogsRetained"]
    assert (found.status, found.reason) == ("Unknown", "CheckPending")


class TestLapse:
    """What was cleared with good logs."""

    before = after(logged(), day(1.2))

    def test_a_period_that_was_shortened_ends_the_clearance(self) -> None:
        of = replace(self.before, logs={"inference": checked(proof(kept=timedelta(days=30)), at=1.4)})
        assert cleared(decide(of, day(1.5)), day(1.5)) == []

    def test_it_ends_what_was_approved_before_too(self) -> None:
        waiting = change(self.before, workloads=[workload("v2")])
        bad = replace(waiting, logs={"inference": checked(proof(kept=timedelta(days=30)), at=1.4)})
        assert (cleared(decide(waiting, day(1.5)), day(1.5)), cleared(decide(bad, day(1.5)), day(1.5))) == (["v1"], [])

    def test_a_first_check_under_way_ends_nothing_of_that(self) -> None:
        before = after(logged(asking(STREAM | {"retention": "30d"})), day(1.2))
        waiting = change(before, workloads=[workload("v2")], procedures=[asking(revision=2)])
        assert cleared(decide(replace(waiting, logs={"inference": Checked(since=day(1.5))}), day(1.5)), day(1.5)) == ["v1"]

    def test_nor_does_it_clear_what_is_approved_meanwhile(self) -> None:
        before = after(logged(asking(STREAM | {"retention": "30d"})), day(1.2))
        waiting = change(before, approve("bob"), workloads=[workload("v2")], procedures=[asking(revision=2)])
        of = replace(waiting, logs={"inference": Checked(since=day(1.5))})
        assert (said(of)[:2], cleared(decide(of, day(1.5)), day(1.5))) == (("Error", "CheckPending"), ["v1"])

    def test_nor_is_it_waited_for_while_nobody_knows_what_is_to_be_cleared(self) -> None:
        before = after(logged(asking(STREAM | {"retention": "30d"})), day(1.2))
        missing = change(before, workloads=[workload(None)], procedures=[asking(revision=2)])
        assert said(replace(missing, logs={"inference": Checked(since=day(1.5))}))[:2] == ("Error", "CheckPending")

    def test_nobody_waits_for_a_check_that_nobody_makes(self) -> None:
        of = replace(after(logged(asking(STREAM | {"retention": "30d"})), day(1.2)), procedures=(asking(revision=2),), logs={})
        assert said(of)[:2] == ("Error", "CheckPending")

    def test_a_first_check_under_way_clears_nothing_that_had_lapsed(self) -> None:
        asked = after(logged(asking(STREAM | {"retention": "30d"})), day(1.2))
        lapsed = after(replace(asked, logs={"inference": checked(proof(kept=timedelta(days=1)), at=1.3)}), day(1.3))
        of = replace(lapsed, procedures=(asking(revision=2),), logs={"inference": Checked(since=day(1.5))})
        assert (said(of)[:2], cleared(decide(of, day(1.5)), day(1.5))) == (("Error", "CheckPending"), [])

    def test_a_short_outage_ends_nothing(self) -> None:
        of = replace(self.before, logs={"inference": checked(trouble=TROUBLE)})
        assert cleared(decide(of, day(1.5)), day(1.5)) == ["v1"]

    def test_a_long_one_does(self) -> None:
        of = replace(self.before, logs={"inference": checked(trouble=TROUBLE)})
        assert cleared(decide(of, day(2.1)), day(2.1)) == []

    def test_it_is_looked_at_again_then(self) -> None:
        assert decide(self.before, day(1.6)).wake == day(2)

    def test_another_process_goes_on_with_what_was_found(self) -> None:
        of = replace(self.before, logs={"inference": Checked(since=day(1.3))})
        assert (said(of), cleared(decide(of, day(1.5)), day(1.5))) == (("Pass", "LogsKept", KEPT), ["v1"])

    def test_also_with_the_canary_that_came_back_to_the_other(self) -> None:
        of = replace(self.before, logs={"inference": checked(proof(**LOST), at=1.4, came=None)})
        assert said(of) == ("Warn", "CanaryLost", f"{GONE}; the last one that did counts until 2027-01-03 00:00:00 UTC")

    def test_but_not_with_what_was_said_without_having_asked(self) -> None:
        skipped = decide(replace(self.before, governed=False), day(1.3)).status
        of = replace(self.before, before=skipped, logs={"inference": Checked(since=day(1.3))})
        assert said(of)[:2] == ("Error", "CheckPending")

    def test_nor_with_what_the_status_had_no_room_for(self) -> None:
        full = self.before.before.model_copy(update={"controls": []})
        assert said(replace(self.before, before=full, logs={"inference": Checked(since=day(1.3))}))[:2] == ("Error", "CheckPending")

    def test_also_while_it_cannot_ask(self) -> None:
        of = replace(self.before, logs={"inference": Checked(since=day(1.3), trouble=TROUBLE)})
        assert said(of) == ("Warn", "SinkUnreachable", f"{TROUBLE[1]}; what it answered last counts until 2027-01-03 00:00:00 UTC")

    def test_but_not_for_longer_than_it_counts(self) -> None:
        of = replace(self.before, logs={"inference": Checked(since=day(1.3), trouble=TROUBLE)})
        assert said(of, 2.1) == ("Error", "SinkUnreachable", TROUBLE[1])

    def test_nor_for_another_sink(self) -> None:
        of = logged(seen=Checked(), logging=sent_to({"victoriaLogs": {"endpoint": "https://other.bank.example:9428"}}))
        assert said(replace(of, before=self.before.before))[:2] == ("Error", "CheckPending")

    def test_nor_for_a_stream_that_has_no_sink_any_more(self) -> None:
        of = logged(logging={"streams": []})
        assert said(replace(of, before=self.before.before))[:2] == ("Fail", "StreamUnregistered")

    def test_nor_where_more_is_asked(self) -> None:
        of = logged(asking(STREAM | {"retention": "200d"}, revision=2), seen=Checked())
        assert said(replace(of, before=self.before.before))[:2] == ("Error", "CheckPending")

    def test_what_another_process_found_wrong_stays_wrong_while_this_one_cannot_ask(self) -> None:
        bad = after(replace(self.before, logs={"inference": checked(proof(kept=timedelta(days=30)), at=1.3)}), day(1.3))
        of = replace(bad, logs={"inference": Checked(since=day(1.4), trouble=TROUBLE)})
        assert (said(of)[:2], cleared(decide(of, day(1.5)), day(1.5))) == (("Fail", "RetentionTooShort"), [])

    def test_a_first_check_under_way_is_no_lapse_for_a_minute_beyond_the_canarys_time(self) -> None:
        of = replace(
            after(logged(asking(STREAM | {"retention": "30d"})), day(1.2)), procedures=(asking(revision=2),), logs={"inference": Checked(since=day(1.5))}
        )
        minute = 1 / 1440
        found = [said(of, at)[:2] for at in (1.5, 1.5 + 1.9 * minute, 1.5 + 2 * minute)]
        assert found == [("Warn", "CheckPending"), ("Warn", "CheckPending"), ("Error", "CheckPending")]


class TestInvariant9:
    """What status keeps changes only when the facts do, or at half of the time that they count for."""

    before = after(logged(), day(1.2))

    def stored(self, at: float) -> object:
        of = replace(self.before, logs={"inference": checked(at=at, came=at)})
        (found,) = decide(of, day(at)).status.logs
        return found.proven_at, found.delivered_at

    def test_the_first_answer_is_stored(self) -> None:
        (found,) = decide(logged(seen=checked(proof(protection=Protection.DELETABLE))), day(1.2)).status.logs
        assert found.model_copy(update={"asked": ""}) == LogSeen(
            stream="inference",
            asked="",
            backend="VictoriaLogs v1.51.1",
            endpoint=SERVER,
            kept="200d",
            protection=Protection.DELETABLE,
            route="directly",
            proven_at=day(1),
            delivered_at=day(1),
        )

    def test_without_a_period_or_a_canary_none_is_stored(self) -> None:
        (found,) = decide(logged(seen=checked(proof(kept=None, delivery=None), came=None)), day(1.2)).status.logs
        assert (found.kept, found.route, found.proven_at, found.delivered_at) == ("", "", day(1), None)

    def test_of_what_nobody_asks_for_nothing_is_stored(self) -> None:
        assert decide(logged(asking(STREAM | {"name": "other"})), day(1.2)).status.logs == []

    def test_nor_of_a_check_for_less_than_anybody_asks(self) -> None:
        more = logged(asking(), asking(STREAM | {"retention": "365d"}, name="stricter"))
        assert [decide(of, day(1.2)).status.logs for of in (logged(seen=checked(of=ask(retention=timedelta(days=30)))), more)] == [[], []]

    def test_what_a_store_says_of_itself_is_cut_to_what_a_status_can_hold(self) -> None:
        sent = replace(WAYS, route="through collector " + "x" * 600)
        (found,) = decide(logged(seen=replace(checked(proof(backend="x" * 300, delivery=sent)), delivery=sent)), day(1.2)).status.logs
        assert (found.backend, found.route) == ("x" * 253, sent.route[:600])

    def test_what_another_process_stored_stays_until_this_one_has_asked(self) -> None:
        of = replace(self.before, logs={"inference": Checked(since=day(1.3))})
        assert decide(of, day(1.3)).status.logs == self.before.before.logs

    def test_a_canary_that_came_back_to_another_process_is_remembered(self) -> None:
        of = replace(self.before, logs={"inference": checked(proof(**LOST), at=1.3, came=None)})
        (found,) = decide(of, day(1.3)).status.logs
        assert (found.proven_at, found.delivered_at) == (day(1), day(1))

    def test_a_check_after_an_hour_writes_nothing(self) -> None:
        of = replace(self.before, logs={"inference": checked(at=1.25, came=1.25)})
        assert decide(of, day(1.25)).status == self.before.before

    def test_one_after_half_a_day_writes_its_time(self) -> None:
        assert [self.stored(at) for at in (1.49, 1.5)] == [(day(1), day(1)), (day(1.5), day(1.5))]

    def test_the_shortest_of_several_procedures_says_when(self) -> None:
        two = after(logged(asking(), asking(STREAM | {"maxCheckAge": "4h"}, name="other")), day(1))
        early, late = 1 + 1.9 / 24, 1 + 2 / 24
        answers = [decide(replace(two, logs={"inference": checked(at=at, came=at)}), day(at)).status for at in (early, late)]
        assert [s.proven_at for answer in answers for s in answer.logs] == [day(1), day(late)]

    def test_it_is_looked_at_then(self) -> None:
        assert decide(self.before, day(1.2)).wake == day(1.5)

    def test_also_where_no_canary_ever_came_back(self) -> None:
        mute = after(logged(asking(OPTIONAL), seen=checked(proof(**LOST), came=None)), day(1.2))
        assert decide(mute, day(1.2)).wake == day(1.5)

    def test_what_the_canary_took_is_no_change(self) -> None:
        one, two = (checked(proof(delivery=replace(proof().delivery, seconds=s))) for s in (1.0, 2.0))  # type: ignore[type-var]
        assert (one.says(), one.says() != checked(trouble=TROUBLE).says()) == (two.says(), True)

    def test_lines_that_lack_the_same_as_those_before_are_no_change_and_others_are(self) -> None:
        one, two, three = (Sample(2, tuple((f"line {n}-{i}", fields) for i, fields in enumerate(of))) for n, of in enumerate(LACKING))
        first = Checked().answered(proof(sample=one), OF_FIELDS, day(1.2))
        second = first.answered(proof(sample=two), OF_FIELDS, day(1.3))
        assert (second.says(), second.at) == (first.says(), day(1.3))
        assert second.answered(proof(sample=three), OF_FIELDS, day(1.4)).proof == proof(sample=three)


@pytest.mark.parametrize(
    ("length", "wanted"),
    [(timedelta(days=184), "184d"), (timedelta(hours=36), "36h"), (timedelta(minutes=90), "90m"), (timedelta(seconds=61), "61s"), (FOREVER, "ever")],
)
def test_a_length_is_said_in_its_largest_whole_unit(length: timedelta, wanted: str) -> None:
    assert span(length) == wanted
