"""What Prometheus reads at /metrics. Times are in seconds, instants in seconds since 1970."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LEADING = Gauge("aiqms_leader", "1 while this replica holds the Lease and writes")
DEPLOYMENTS = Gauge("aiqms_deployments", "Registered deployments", ["namespace", "phase"])
EMERGENCIES = Gauge("aiqms_emergencies", "Deployments with an emergency in force, or one that nobody has reviewed", ["namespace"])
LAPSE = Gauge("aiqms_lapse_notice", "Deployments whose permission ends within that many days", ["namespace", "days"])
PODS_HELD = Gauge("aiqms_pods_held", "Pods that wait for a clearance", ["namespace"])
VALID_UNTIL = Gauge("aiqms_clearance_valid_until_seconds", "End of the permission that a deployment runs under", ["namespace", "deployment"])
RECONCILE_SECONDS = Histogram("aiqms_reconcile_seconds", "One pass over a namespace: gather, decide, apply", buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 30))
RECONCILE_ERRORS = Counter("aiqms_reconcile_errors_total", "Passes that failed and are tried again", ["kind"])
QUEUE = Gauge("aiqms_queue_length", "Namespaces that wait to be looked at")
RELEASED = Counter("aiqms_pods_released_total", "Held pods that were let go")
REMOVED = Counter("aiqms_pods_removed_total", "Pods ended: lapsed, or not covered by any clearance")
WRITES = Counter("aiqms_writes_total", "Writes to the API server", ["resource"])
NETWORK_POLICIES_RESTORED = Counter("aiqms_network_policies_restored_total", "NetworkPolicies of the operator that somebody changed or deleted, put right")
NETWORK_PROBES = Counter("aiqms_network_probes_total", "Probes of whether the cluster's network enforces NetworkPolicies", ["outcome"])
LOG_CHECKS = Counter("aiqms_log_checks_total", "Checks of log sinks: what came of them", ["backend", "outcome"])
LOG_CHECKED = Gauge("aiqms_log_check_last_answer_seconds", "When a stream's log sink answered last", ["namespace", "deployment", "stream"])
LOG_DELIVERED = Gauge("aiqms_log_canary_last_delivery_seconds", "When a canary of a stream was read back last", ["namespace", "deployment", "stream"])
LOG_CANARY_SECONDS = Gauge("aiqms_log_canary_seconds", "From sending a canary to reading it back", ["namespace", "deployment", "stream"])
CLEARANCE_BYTES = Gauge("aiqms_clearance_bytes", "Size of a namespace's Clearance as JSON; the API server's limit is 1.5 MiB", ["namespace"])
