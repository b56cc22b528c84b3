#!/usr/bin/env bash
# Makes startup kits for a server and three sites on this machine.
#
# Usage: poc/prepare.sh [-w FOLDER] [-p PORT] [--project FILE]
#
#   -w, --workspace FOLDER   where everything lies; what it holds of an earlier run is replaced [runs/poc]
#   -p, --port PORT          of the server, on 127.0.0.1 [8002]
#   --project FILE           poc/project.yml, or poc/project_he.yml for a homomorphic sum

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parse_common "$@"
no_more_options

[[ -z "$(running)" ]] || fail "an earlier run is still at work in $WORKSPACE: run poc/stop.sh first"
sed "s/_port: 8002/_port: $PORT/" "$PROJECT" > "$WORKSPACE/project.yml"
nvflare --format json poc prepare -i "$WORKSPACE/project.yml" --force < /dev/null | field workspace > /dev/null
[[ -f "$(kits)/site-1/local/ecg_flare.json" ]] || fail "provisioning failed: see what FLARE said above"
echo "kits for 127.0.0.1:$PORT lie in $(kits)"
