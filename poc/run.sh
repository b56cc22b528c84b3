#!/usr/bin/env bash
# Runs a job from kits to verified results: a server and three sites on this machine, over TLS on 127.0.0.1.
#
# Usage: poc/run.sh [-w FOLDER] [-p PORT] [--project FILE] [--cases FOLDER] [NAME [OPTION ...]]
#
# Makes the kits, starts server and sites, submits the job as the lead (who may ship no code), shows the rounds,
# downloads the model and a copy of the ledger, checks it with the sites' signatures, and stops everything, also when
# something fails on the way.
#
#   NAME                     a job of `ecg-flare jobs list` [fedadam_dp]
#   OPTION                   for `ecg-flare jobs export`: --rounds 1, --training steps=5, …
#   -w, --workspace FOLDER   where everything lies; what it holds of an earlier run is replaced [runs/poc]
#   -p, --port PORT          of the server, on 127.0.0.1 [8002]
#   --project FILE           poc/project.yml, or poc/project_he.yml for a homomorphic sum
#   --cases FOLDER           the sites' own pages or data sets, '/data/{site}': poc/cases.sh names them in the kits

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parse_common "$@"

HERE="$ROOT/poc"
"$HERE/stop.sh" -w "$WORKSPACE" > /dev/null
if listening "$PORT"; then fail "port $PORT is in use on 127.0.0.1: give another one (--port), or end what listens there"; fi
"$HERE/prepare.sh" -w "$WORKSPACE" -p "$PORT" --project "$PROJECT"
[[ -z "$CASES" ]] || "$HERE/cases.sh" -w "$WORKSPACE" --cases "$CASES" ${REST[@]+"${REST[@]}"}
trap '"$HERE/stop.sh" -w "$WORKSPACE" >&2 || true' EXIT
"$HERE/start.sh" -w "$WORKSPACE"
echo "job     $("$HERE/submit.sh" -w "$WORKSPACE" ${CASES:+--cases "$CASES"} ${REST[@]+"${REST[@]}"})"
"$HERE/watch.sh" -w "$WORKSPACE"
trap - EXIT
"$HERE/stop.sh" -w "$WORKSPACE"
