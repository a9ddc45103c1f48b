"""Reads a page of OpenMetrics 1.0 on stdin with the parser of prometheus_client, which takes nothing that the
standard forbids, and prints what it read as JSON. Numbers are texts, since JSON has no infinity."""

import io
import json
import sys

from prometheus_client.openmetrics.parser import text_fd_to_metric_families


def exemplar_of(sample):
    exemplar = sample.exemplar
    return exemplar and [exemplar.labels, repr(float(exemplar.value))]


page = io.StringIO(sys.stdin.buffer.read().decode("utf-8"), newline="\n")
families = list(text_fd_to_metric_families(page))
read = {
    "types": {family.name: family.type for family in families},
    "samples": [
        [sample.name, sample.labels, repr(float(sample.value)), exemplar_of(sample)]
        for family in families
        for sample in family.samples
    ],
}
json.dump(read, sys.stdout)
