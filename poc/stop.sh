#!/usr/bin/env bash
# Stops the server and the sites, and checks that no process and no listener is left.
#
# Usage: poc/stop.sh [-w FOLDER]
#
#   -w, --workspace FOLDER   as given to poc/prepare.sh [runs/poc]

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parse_common "$@"
no_more_options

PORT="$(sed -n 's/.*fed_learn_port: //p' "$WORKSPACE/project.yml" 2> /dev/null || true)"
if [[ -n "$(running)" ]]; then
  nvflare --format json poc stop < /dev/null > "$WORKSPACE/stop.json" 2> /dev/null || true
  for ((waited = 0; waited < 40 && $(running | wc -l); waited++)); do sleep 1; done
  # What does not end by itself (a server that could not be reached) is ended.
  for signal in TERM KILL; do
    running | while read -r id _; do kill -$signal "$id" 2> /dev/null || true; done
    for ((waited = 0; waited < 10 && $(running | wc -l); waited++)); do sleep 1; done
  done
fi
LEFT="$(running)"
[[ -z "$LEFT" ]] || fail "still running: $LEFT"
if [[ -n "$PORT" ]] && listening "$PORT"; then fail "someone else listens on port $PORT"; fi
echo "stopped; nothing is left running"
