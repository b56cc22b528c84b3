#!/usr/bin/env bash
# Writes a job without own code, submits it as the lead, and prints its id.
#
# Usage: poc/submit.sh [-w FOLDER] [NAME [OPTION ...]]
#
#   NAME                     a job of `ecg-flare jobs list` [fedadam_dp]
#   OPTION                   for `ecg-flare jobs export`: --rounds 1, --data 'pages:/data/{site}', …
#   -w, --workspace FOLDER   as given to poc/prepare.sh [runs/poc]

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parse_common "$@"

KIT="$(lead_kit)"
set -- ${REST[@]+"${REST[@]}"}
NAME="${1:-fedadam_dp}"
shift || true
[[ " $* " == *" --data "* ]] || set -- --data synthetic "$@"
[[ " $* " == *" --sites "* ]] || set -- --sites site-1,site-2,site-3 "$@"
rm -rf "$WORKSPACE/jobs"
ecg-flare jobs export "$NAME" --no-code -o "$WORKSPACE/jobs" "$@" >&2
nvflare --format json job submit -j "$WORKSPACE/jobs/$NAME" --startup-kit "$KIT" < /dev/null | field job_id |
  tee "$WORKSPACE/job_id"
