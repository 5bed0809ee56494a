#!/bin/sh
# The alarms of docker/observe with promtool: are they rules, does each fire when it should, and does
# each have its runbook? That the figures in them are served, and in the dashboards, is tested by
# tests/scenarios/tests/real/figures.rs.
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

if ! have promtool; then
    say "skipped: promtool is not installed (on Debian: apt-get install prometheus)"
    exit 0
fi
promtool check config docker/observe/prometheus.yml
promtool test rules docker/observe/alerts.test.yml
sed -n 's/^ *runbook: //p' docker/observe/alerts.yml | sort -u | while read -r runbook; do
    [ -f "$runbook" ] || fail "docker/observe/alerts.yml names $runbook, which is not there"
done
