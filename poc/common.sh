# What the scripts beside this one share. Sourced, not run.
#
# State lies below WORKSPACE alone: FLARE's settings (its HOME is there), the kits, the jobs, the results.

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
WORKSPACE="$ROOT/runs/poc"
PORT=8002
PROJECT="$ROOT/poc/project.yml"
LEAD="lead@coordinator.org"
CASES=""
PYTHON="${PYTHON:-python3}"

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# Takes the options that all scripts know; what is left stands in REST.
parse_common() {
  REST=()
  while (($#)); do
    case "$1" in
      -h | --help) usage && exit 0 ;;
      -w | --workspace) WORKSPACE="${2:?--workspace needs a folder}" && shift ;;
      -p | --port) PORT="${2:?--port needs a number}" && shift ;;
      --project) PROJECT="${2:?--project needs a file}" && shift ;;
      --cases) CASES="${2:?--cases needs a folder with {site\} in it}" && shift ;;
      *) REST+=("$1") ;;
    esac
    shift
  done
  mkdir -p "$WORKSPACE/home"
  WORKSPACE="$(cd "$WORKSPACE" && pwd)"
  [[ "$WORKSPACE" != *[[:space:]\'\"\\#]* ]] || fail "the workspace is '$WORKSPACE', expected a path without spaces, quotes, \\ and #: FLARE splits its processes' command lines there; give another one (--workspace)"
  export HOME="$WORKSPACE/home" NVFLARE_POC_WORKSPACE="$WORKSPACE/poc"
  export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
  # The programs of the Python that these scripts run with, whether its environment is activated or not.
  PATH="$(cd "$("$PYTHON" -c 'import sys; print(sys.prefix)')/bin" && pwd):$PATH"
  command -v nvflare > /dev/null || fail "there is no nvflare beside $PYTHON: install ecg_flare first (pip install .)"
  command -v ecg-flare > /dev/null || fail "there is no ecg-flare beside $PYTHON: install it first (pip install .)"
}

no_more_options() { ((${#REST[@]} == 0)) || fail "does not know ${REST[*]}; see --help"; }

kits() { echo "$WORKSPACE/poc/ecg_flare/prod_00"; }

lead_kit() {
  [[ -d "$(kits)/$LEAD" ]] || fail "there are no kits in $WORKSPACE: run poc/prepare.sh first"
  echo "$(kits)/$LEAD"
}

# Writes the job that $REST names: NAME [OPTION ...], without own code. Sets JOB to its folder.
export_job() {
  set -- ${REST[@]+"${REST[@]}"}
  local name="${1:-fedadam_dp}" data=synthetic
  shift || true
  [[ -z "$CASES" ]] || data=own
  [[ " $* " == *" --data "* ]] || set -- --data "$data" "$@"
  [[ " $* " == *" --sites "* ]] || set -- --sites site-1,site-2,site-3 "$@"
  rm -rf "$WORKSPACE/jobs"
  ecg-flare jobs export "$name" --no-code -o "$WORKSPACE/jobs" "$@" >&2
  JOB="$WORKSPACE/jobs/$name"
}

# Processes that poc/start.sh started and their children, one a line: id and command. They carry a mark of its.
MARK=ECG_FLARE_POC
running() {
  local process
  [[ -d /proc/self ]] || fail "these scripts find processes in /proc, which Linux has"
  for process in /proc/[0-9]*; do
    tr '\0' '\n' 2> /dev/null < "$process/environ" | grep -qxF "$MARK=$WORKSPACE" || continue
    echo "${process#/proc/} $(tr '\0' ' ' 2> /dev/null < "$process/cmdline")"
  done
  return 0
}

# Whether someone listens on 127.0.0.1:$1.
listening() {
  "$PYTHON" - "$1" << 'END'
import socket, sys
with socket.socket() as probe:
    sys.exit(probe.connect_ex(("127.0.0.1", int(sys.argv[1]))) != 0)
END
}

# One field of the JSON that `nvflare --format json` answers with; fails with its message where it is an error.
field() {
  "$PYTHON" -c '
import json, sys
text = sys.stdin.read()
lines = [line for line in text.splitlines() if line.startswith("{")]
answer = json.loads(lines[-1]) if lines else {"status": "error", "message": text.strip() or "no answer"}
if answer["status"] != "ok":
    sys.exit("FLARE: " + answer.get("message", "no reason given"))
value = answer["data"]
for key in sys.argv[1].split("."):
    value = value[key]
print(value)' "$1"
}
