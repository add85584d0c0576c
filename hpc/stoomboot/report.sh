#!/usr/bin/env bash
# The job of report.sub: thesis-report with the folders of the cluster.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/activate.sh"

ours=(env=stoomboot)
activate_environment
merge_arguments "$@"
exec python -m thesis_ml.cli.reports "${arguments[@]}"
