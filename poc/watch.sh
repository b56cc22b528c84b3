#!/usr/bin/env bash
# Shows a job's rounds as they end, until it does; then downloads what it gave and checks its ledger,
# with the signatures of the server and of the sites.
#
# Usage: poc/watch.sh [-w FOLDER] [JOB_ID]
#
#   JOB_ID                   [the job that poc/submit.sh submitted last]
#   -w, --workspace FOLDER   as given to poc/prepare.sh [runs/poc]

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parse_common "$@"

KIT="$(lead_kit)"
JOB="${REST[0]:-$(cat "$WORKSPACE/job_id" 2> /dev/null)}" || fail "no job was submitted from $WORKSPACE"
LOG="$(kits)/localhost/$JOB/log.txt"
ROUNDS='s/.* - \(round [0-9]*\/[0-9]*  .*\)/\1/p; s/.* - \(stopped before round .*\)/\1/p'

nvflare --format json job monitor "$JOB" --startup-kit "$KIT" > "$WORKSPACE/monitor.json" 2> /dev/null < /dev/null &
MONITOR=$!
trap 'kill $MONITOR 2> /dev/null || true' EXIT
told=0
while kill -0 $MONITOR 2> /dev/null; do
  # FLARE moves the log away when the job ends: the last lines come with the download.
  if [[ -f "$LOG" ]]; then
    while read -r line; do
      echo "$line"
      told=$((told + 1))
    done < <(sed -n "$ROUNDS" "$LOG" 2> /dev/null | tail -n "+$((told + 1))")
  fi
  sleep 2
done
wait $MONITOR || true
trap - EXIT

rm -rf "$WORKSPACE/results"
nvflare --format json job download "$JOB" --startup-kit "$KIT" -o "$WORKSPACE/results" < /dev/null |
  field path > /dev/null || fail "the job's results could not be downloaded"
RUN="$WORKSPACE/results/$JOB/workspace"
sed -n "$ROUNDS" "$RUN/log.txt" 2> /dev/null | tail -n "+$((told + 1))"
STATUS="$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1])).get("status"))' \
  "$WORKSPACE/results/$JOB/meta.json")"
if [[ "$STATUS" != "FINISHED:COMPLETED" ]]; then
  grep -hE ' - (ERROR|CRITICAL) - ' "$RUN/log.txt" 2> /dev/null | tail -n 5 >&2 || true
  fail "job $JOB ended as $STATUS; its logs are in $RUN, the sites' in $(kits)/site-*/$JOB"
fi
[[ -d "$RUN/ecg_flare/model" ]] || fail "the job ended, but there is no model in $RUN/ecg_flare"
echo "model   $RUN/ecg_flare/model"
if [[ -f "$RUN/ecg_flare/ledger.jsonl" ]]; then
  echo "ledger  $RUN/ecg_flare/ledger.jsonl"
  # The lines by the server's key, and how many of the sites vouch for them.
  ecg-flare privacy verify "$RUN/ecg_flare/ledger.jsonl" --root "$KIT/startup/rootCA.pem" \
    --cert "$(kits)/localhost/startup/server.crt" --witness "$RUN/ecg_flare/ledger.jsonl.witness"
fi
# FLARE calls a job complete that gave up after a round without enough sites.
LOST="$("$PYTHON" -c '
import json, sys
print(json.loads(open(sys.argv[1]).read().splitlines()[-1])["failure"])' "$RUN/ecg_flare/metrics.jsonl")"
[[ -z "$LOST" ]] || fail "the last round failed, and the model is that of the round before: $LOST"
