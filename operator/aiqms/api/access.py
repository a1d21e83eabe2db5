"""Who reaches the model, its pods and its files: what a procedure asks, and what a register entry names (AI Act Art. 15(5), 17(1)(m))."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from aiqms.api.selectors import LabelSelector
from aiqms.api.values import Duration, Line, Model, Namespace, ObjectName, Obligations, RoleSet

Port = Annotated[int, Field(ge=1, le=65535)]
Ports = Annotated[list[Port], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"})]
Cidr = Annotated[str, Field(pattern="^[0-9a-fA-F.:]+/[0-9]{1,3}$", max_length=49)]


class Unverified(StrEnum):
    """What it means that nobody could verify that the cluster's network enforces policies."""

    REFUSED = "Refused"
    WARNED = "Warned"


class Peer(Model):
    """Pods of a namespace; without podSelector all of them."""

    namespace: Namespace
    pod_selector: LabelSelector | None = None


class Destination(Model):
    """Where pods may connect to: pods of a namespace, or addresses; TCP, at these ports; without ports any port of any protocol."""

    namespace: Namespace | None = None
    pod_selector: LabelSelector | None = None
    cidr: Cidr | None = None
    ports: Ports = []


class Endpoint(Model):
    """An object by which people and programs outside the pods reach them. namespace: of a route that lies elsewhere; default: the deployment's own."""

    kind: Literal["Service", "Ingress", "HTTPRoute", "GRPCRoute"]
    name: ObjectName
    namespace: Namespace | None = None


class RegisteredAccess(Model):
    """Who may reach the pods, at which TCP ports, where they may connect to beside DNS, and by which objects they are reached. Without ports nobody may."""

    clients: Annotated[list[Peer], Field(max_length=64)] = []
    ports: Ports = []
    egress: Annotated[list[Destination], Field(max_length=64)] = []
    endpoints: Annotated[list[Endpoint], Field(max_length=64)] = []


class Right(Model):
    """A rule as RBAC has it, in one namespace."""

    api_groups: Annotated[list[Annotated[str, Field(max_length=253)]], Field(min_length=1, max_length=16)]
    resources: Annotated[list[Annotated[str, Field(min_length=1, max_length=253)]], Field(min_length=1, max_length=32)]
    verbs: Annotated[list[Annotated[str, Field(min_length=1, max_length=63)]], Field(min_length=1, max_length=16)]


class Storage(Model):
    """classes: StorageClasses that the governed pods' volume claims may name, such as those that encrypt."""

    classes: Annotated[list[ObjectName], Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"})]


class Editors(Model):
    """Who may edit workloads and register entries of a governed namespace."""

    groups: Annotated[list[Line], Field(max_length=64)] = []
    users: Annotated[list[Line], Field(max_length=64)] = []


class Access(Model):
    """Each field that is left out asks nothing.

    network Clients: only the register's clients, and monitoring, reach the pods, at the register's ports; the pods reach only its egress and DNS.
    serviceAccount Dedicated: each deployment has its own ServiceAccount, with no token (unless token: Allowed) and no rights but these.
    endpoints Registered: only the objects that the register names lead to the pods. tls Required: those from outside the cluster ask for TLS.
    reviewEvery: how often somebody in one of reviewRoles (default: the roles that approve) confirms who can do what.
    """

    network: Literal["Clients"] | None = None
    network_unverified: Unverified = Unverified.REFUSED
    monitoring: Annotated[list[Peer], Field(max_length=16)] = []
    service_account: Literal["Dedicated"] | None = None
    token: Literal["Allowed"] | None = None
    rights: Annotated[list[Right], Field(max_length=32)] = []
    storage: Storage | None = None
    endpoints: Literal["Registered"] | None = None
    tls: Literal["Required"] | None = None
    editors: Editors | None = None
    review_every: Duration | None = None
    review_roles: RoleSet | None = None
    obligations: Obligations = []
