"""What Prometheus calls a metric of OpenTelemetry's, and what a query asks for.

Source: the specification "Prometheus and OpenMetrics Compatibility", which Prometheus' own OTLP
receiver follows: a unit is a suffix unless it is a word in braces, and a sum that only grows ends
in ``_total``.
"""

import re

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

_UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": "ratio"}
_NAME = re.compile(r"\b(?:shop|messaging)_[a-z_]+")
_GROUPING = re.compile(r"\b(?:by|without) \([^)]*\)|\{[^}]*\}")
_LABELS = re.compile(r"\bby \(([^)]*)\)")


def names_of(metric: Metric) -> set[str]:
    """The series of a metric."""
    name = re.sub(r"[^a-zA-Z0-9_:]", "_", metric.name)
    if not metric.unit.startswith("{"):
        name += f"_{_UNITS[metric.unit]}"
    kind = metric.WhichOneof("data")
    if kind == "histogram":
        return {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    return {f"{name}_total" if kind == "sum" and metric.sum.is_monotonic else name}


def asked_for(query: str) -> set[str]:
    """The series of ours that a query names."""
    return set(_NAME.findall(_GROUPING.sub("", query)))


def grouped_by(query: str) -> set[str]:
    """The labels that a query groups by."""
    return {label.strip() for found in _LABELS.findall(query) for label in found.split(",")}


def label_of(attribute: str) -> str:
    """What an attribute is called as a label."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)
