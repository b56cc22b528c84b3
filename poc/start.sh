#!/usr/bin/env bash
# Starts the server and the three sites of poc/prepare.sh, and waits until they have found each other.
#
# Usage: poc/start.sh [-w FOLDER]
#
#   -w, --workspace FOLDER   as given to poc/prepare.sh [runs/poc]

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parse_common "$@"
no_more_options

lead_kit > /dev/null
[[ -z "$(running)" ]] || fail "already running in $WORKSPACE: poc/stop.sh stops it"
PORT="$(sed -n 's/.*fed_learn_port: //p' "$WORKSPACE/project.yml")"
if listening "$PORT"; then
  fail "port $PORT is in use on 127.0.0.1: prepare again with another one (--port), or end what listens there"
fi
env "$MARK=$WORKSPACE" nvflare --format json poc start --timeout 120 > "$WORKSPACE/start.json" < /dev/null || true
field status < "$WORKSPACE/start.json" > /dev/null || fail "the services did not start: see $(kits)/*/poc_console.log"
echo "server and sites run; their logs are $(kits)/*/log.txt"
