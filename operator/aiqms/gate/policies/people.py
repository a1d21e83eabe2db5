"""Decisions are people's: who made a record is what the API server says, and a record stays as it was made."""

from __future__ import annotations

from aiqms.gate.cel import BY_OPERATOR, CREATED, GOING, PEOPLE_GROUPS, held, say
from aiqms.gate.policy import LABELLED, RECORD_KIND, Check, Policy, rule
from aiqms.gate.rules import DECISION, EDITORS, LABEL

RECORDS = [rule(["approvalrecords"], ["CREATE"], "aiqms.dev", "*")]
# What is missing is refused by the schema, later and with a better message.
ROLE = "object.?spec.?role.orValue('')"
DECISION_MADE = "object.?spec.?decision.orValue('')"
VERB = f"{DECISION_MADE}.lowerAscii()"
NOBODY = "aiqms-nobody-holds-this"  # a role that no one is given by name: whoever holds it holds all roles by a wildcard
GROUPS = "request.userInfo.?groups.orValue([])"
MARKED = f"object.metadata.?labels[?'{DECISION}']"
MARK = (  # a Stop stands from the moment at which it is made, operator or not
    f'({DECISION_MADE} != \'Stop\' ? [] : (has(object.metadata.labels) ? [] : [JSONPatch{{op: "add", path: "/metadata/labels", value: {{}}}}])'
    f' + [JSONPatch{{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("{DECISION}"), value: "Stop"}}])'
)
MACHINES = "g == 'system:nodes' || g == 'system:serviceaccounts' || g.startsWith('system:serviceaccounts:')"


def holds(role: str) -> str:
    """Whether whoever asks may decide this in the role. Costs 350,000 of the 1,000,000 that one expression may spend."""
    return f"authorizer.group('aiqms.dev').resource('approvalroles').namespace(request.namespace).name({role}).check({VERB}).allowed()"


def stamp() -> Policy:
    """Writes the person whom the API server authenticated over whatever the client wrote. A JSON patch: server-side apply may not touch atomic maps.

    What is of a wrong type is left to the schema, which names the field; an expression that fails would be said in its place.
    """
    readable = f"has(object.spec) && type(object.spec) == map && type({DECISION_MADE}) == string && type({ROLE}) == string"
    person = (
        f'Object.spec.approver{{username: request.userInfo.username, uid: request.userInfo.?uid.orValue(""), groups: {GROUPS},'
        f" authorized: {holds(ROLE)} && ({DECISION_MADE} == 'Stop' || !{holds(repr(NOBODY))})}}"
    )
    return Policy(
        name="authentic",
        rules=RECORDS,
        where="everywhere",
        acts="true",
        patch=f'{readable} ? [JSONPatch{{op: "add", path: "/spec/approver", value: {person}}}] + {MARK} : []',
    )


def authentic() -> Policy:
    """A record counts only as its author's own, who is a person and holds the role by name."""
    return Policy(
        name="authentic",
        rules=RECORDS,
        where="everywhere",
        acts="true",
        variables={"decision": DECISION_MADE, "role": ROLE, "holds": holds(ROLE), "everything": holds(f"'{NOBODY}'")},
        refuse=[*no_person(), *not_in_role(), *not_as_stamped()],
    )


def no_person() -> list[Check]:
    who = "`request.userInfo.username`"
    machine = f"request.userInfo.username.startsWith('system:') || {GROUPS}.exists(g, {MACHINES})"
    outside = f"{who} is in none of the groups of people who may decide (chart value gate.peopleGroups): sign in with a person's account"
    return [
        (machine, say(f"a decision is a person's: {who} is a service account or a part of the cluster; sign in as a person")),
        ("request.userInfo.username.contains('\\n')", "your user name has a line break, so notes of who edited cannot hold it: sign in with another"),
        (f"!{GROUPS}.exists(g, g in {PEOPLE_GROUPS})", say(outside)),
    ]


def not_in_role() -> list[Check]:
    """A Withdraw may be its own author's, who need not hold the role any more: the operator counts it if the author or `authorized` says so."""
    decides = "variables.decision != 'Withdraw'"
    lacking = (
        f"you do not hold role `variables.role` in namespace `request.namespace`: it takes verb `{VERB}` on approvalroles.aiqms.dev/`variables.role`;"
        " ask for a RoleBinding to ClusterRole aiqms-role-`variables.role`"
    )
    wildcard = "you hold every role by a wildcard right, which makes nobody an approver: decide with an account that holds this role by name and no wildcard"
    return [(f"{decides} && !variables.holds", say(lacking)), ("!(variables.decision in ['Withdraw', 'Stop']) && variables.everything", wildcard)]


def not_as_stamped() -> list[Check]:
    approver, now, expires = "object.spec.approver", "object.metadata.creationTimestamp", "object.spec.expires"
    forged = (
        f"!has({approver}) || {approver}.username != request.userInfo.username || {approver}.?groups.orValue([]) != {GROUPS}"
        f" || {approver}.?uid.orValue('') != request.userInfo.?uid.orValue('')"
        f" || {approver}.?authorized.orValue(false) != (variables.holds && (variables.decision == 'Stop' || !variables.everything))"
    )
    marked = f"{MARKED} != (variables.decision == 'Stop' ? optional.of('Stop') : optional.none())"
    # CEL knows no time after it, and an offset may lead there: only on the last day, and only west of Greenwich.
    beyond = f"string({expires}).matches('^9999-12-31T.*-[0-9]{{2}}:[0-9]{{2}}$')"
    past = f"spec.expires `string({expires})` is not after now, `string({now})`: give a later time, or leave it out"
    return [
        (marked, f"label {DECISION} is set by admission, on a Stop: leave it out"),
        (forged, "spec.approver is set by admission: leave it out, and try again"),
        (f"has({expires}) && {beyond}", "spec.expires may lie beyond 9999-12-31T23:59:59Z, the last time there is: give an earlier one, or leave it out"),
        (f"has({expires}) && !{beyond} && timestamp({expires}) <= timestamp({now})", say(past)),
    ]


def records() -> Policy:
    """A record stays as long as its namespace, and nothing but its status changes, which is the operator's."""
    labels = f"dyn({{o}}.metadata.?labels.orValue({{{{}}}})).transformMap(k, v, k != '{DECISION}', v)"
    changed = " || ".join(f"object.?{part} != oldObject.?{part}" for part in ("spec", "metadata.?annotations"))
    changed += f" || {labels.format(o='object')} != {labels.format(o='oldObject')} || ({MARKED} != {MARKED.replace('object', 'oldObject')} && !({BY_OPERATOR}))"
    owned = "has(object.metadata.ownerReferences) || has(object.metadata.finalizers)"
    status = f"object.?status != oldObject.?status && !({BY_OPERATOR})"
    return Policy(
        name="records",
        rules=[rule(["approvalrecords", "approvalrecords/*"], ["CREATE", "UPDATE", "DELETE"], "aiqms.dev", "*")],
        where="everywhere",
        acts=f"request.operation == 'DELETE' || {owned} || (request.operation == 'UPDATE' && ({changed} || {status}))",
        refuse=[
            (f"request.operation == 'DELETE' && !{GOING}", "a record stays as long as its namespace: take it back by a record with decision Withdraw"),
            (f"request.operation != 'DELETE' && ({owned})", "a record has no owner and no finalizer, so that nothing deletes or keeps it: leave both out"),
            (f"request.operation == 'UPDATE' && ({changed})", "a record is immutable, its labels and annotations too: make another record"),
            (f"request.operation == 'UPDATE' && {status}", "the status of a record is written by the AIQMS operator alone"),
        ],
    )


def stopped() -> Policy:
    """A Stop refuses new pods that are not held, with no operator running: every record that bears the mark is a parameter, and all of them have to agree."""
    return Policy(
        name="stopped",
        rules=[rule(["pods"], ["CREATE"])],
        selector=LABELLED,
        param="Allow",
        param_kind=RECORD_KIND,
        param_selector={"matchLabels": {DECISION: "Stop"}},
        refuse=[
            (
                f"params.spec.deployment == object.metadata.labels['{LABEL}'] && !{held()}",
                say("stopped by `params.spec.approver.username` (apr/`params.metadata.name`): see kubectl qms explain aimd/`params.spec.deployment`"),
            )
        ],
    )


NAMED = f"object.metadata.?annotations[?'{EDITORS}']"
FORMER = f"oldObject.metadata.?annotations[?'{EDITORS}']"
USER = "request.userInfo.username"
REWRITTEN = "object.?spec != oldObject.?spec"
# What people approve, other than the procedures. A field that is not in it begins no new note, which is the safe side.
APPROVED_PARTS = ("model", "datasets", "intendedPurpose", "riskClass", "role", "workloads")
REPLACED = " || ".join(f"object.?spec.?{part} != oldObject.?spec.?{part}" for part in APPROVED_PARTS)
JUDGED = "oldObject.?status.?observedGeneration == oldObject.metadata.?generation"
WAS_APPROVED = f"{JUDGED} && oldObject.?status.?conditions.orValue([]).exists(c, c.type == 'Approved' && c.status == 'True')"
BEGUN = f"({CREATED} || (({REPLACED}) && {WAS_APPROVED}))"
JOINED = f"({REWRITTEN} && !({USER} in {FORMER}.orValue('').split('\\n')))"
AUTHORS = f"({BEGUN} ? optional.of({USER}) : {JOINED} ? optional.of({FORMER}.orValue('') + '\\n' + {USER}) : {FORMER})"
REGISTER = rule(["aimodeldeployments"], ["CREATE", "UPDATE"], "aiqms.dev", "*")


def authors() -> Policy:
    """Notes who changed the deployment since it was last approved, since managedFields name no user: one name a line.

    An update that changes nothing of the spec keeps the note; one that changes what was approved as it stood begins another.
    """
    at = f'"/metadata/annotations/" + jsonpatch.escapeKey("{EDITORS}")'
    whole = '(has(object.metadata.annotations) ? [] : [JSONPatch{op: "add", path: "/metadata/annotations", value: {}}])'
    put = f'{whole} + [JSONPatch{{op: "add", path: {at}, value: {AUTHORS}.value()}}]'
    return Policy(
        name="edited",
        rules=[REGISTER],
        where="everywhere",
        acts=f"{NAMED} != {AUTHORS}",
        patch=f'{AUTHORS}.hasValue() ? {put} : [JSONPatch{{op: "remove", path: {at}}}]',
    )


def edited() -> Policy:
    """The note is as admission made it, and the status that it rests on is the operator's."""
    status = f"request.?subResource.orValue('') == 'status' && object.?status != oldObject.?status && !({BY_OPERATOR})"
    return Policy(
        name="edited",
        rules=[REGISTER, rule(["aimodeldeployments/status"], ["UPDATE"], "aiqms.dev", "*")],
        where="everywhere",
        refuse=[
            (f"{NAMED} != {AUTHORS}", f"annotation {EDITORS} is set by admission: leave it out, and try again"),
            (status, "the status of a deployment is written by the AIQMS operator alone"),
        ],
    )
