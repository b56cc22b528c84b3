#!/usr/bin/env bash
# Writes a job without own code, submits it as the lead, and prints its id.
#
# Usage: poc/submit.sh [-w FOLDER] [--cases FOLDER] [NAME [OPTION ...]]
#
#   NAME                     a job of `ecg-flare jobs list` [fedadam_dp]
#   OPTION                   for `ecg-flare jobs export`: --rounds 1, --training steps=5, …
#   -w, --workspace FOLDER   as given to poc/prepare.sh [runs/poc]
#   --cases FOLDER           the sites train on what poc/cases.sh named in their kits

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parse_common "$@"

KIT="$(lead_kit)"
export_job
nvflare --format json job submit -j "$JOB" --startup-kit "$KIT" < /dev/null | field job_id |
  tee "$WORKSPACE/job_id"
