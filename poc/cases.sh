#!/usr/bin/env bash
# Looks over each site's own cases, prepares them, and names them in its kit, as the engineer of a hospital does.
#
# Usage: poc/cases.sh [-w FOLDER] --cases FOLDER [NAME [OPTION ...]]
#
#   NAME                     the job that will be submitted [fedadam_dp]
#   OPTION                   as for poc/submit.sh
#   -w, --workspace FOLDER   as given to poc/prepare.sh [runs/poc]
#   --cases FOLDER           '/data/{site}': pages, or a data set in nnU-Net's raw format (dataset.json). Without a
#                            patients.csv each case is another patient's

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
parse_common "$@"

[[ "$CASES" == *"{site}"* ]] || fail "--cases is '$CASES', expected a folder with {site} in it, such as '/data/{site}'"
lead_kit > /dev/null
export_job
for site in $("$PYTHON" -c '
import json, sys
[app] = json.load(open(sys.argv[1]))["deploy_map"].values()
print(*(name for name in app if name != "server"))' "$JOB/meta.json"); do
  folder="${CASES//\{site\}/$site}"
  [[ -d "$folder" ]] || fail "the cases of $site are not at $folder"
  kind=--pages && [[ ! -f "$folder/dataset.json" ]] || kind=--dataset
  whose=--each-case-a-patient && [[ ! -f "$folder/patients.csv" ]] || whose=
  ecg-flare site prepare "$kind" "$folder" ${whose:+"$whose"} --workspace "$(kits)/$site" --job "$JOB"
done
