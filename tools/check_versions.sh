#!/usr/bin/env bash
# Install the oldest versions that pyproject.toml allows, and the newest ones, and run what users run with both.
#   tools/check_versions.sh            each Python that is there: smoke, assembly, conversions, each loop, reports
#   PYTHONS=python3.12 tools/check_versions.sh    of one Python
#   tools/check_versions.sh --smoke    the oldest versions and the oldest Python only: smoke tests
set -euo pipefail
unset PYTHONPATH PYTHONHOME PYTEST_ADDOPTS THESIS_DATA_ROOT THESIS_OUTPUT_ROOT

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The same in all environments: hundreds of MB, and not every version is built for every machine.
torch=${TORCH:-torch==2.13.0}
read -ra pythons <<<"${PYTHONS:-python3.11 python3.12 python3.13}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Print a requirement a line, each at its lower bound where a wheel of that version exists, else as a range.
list_minima() {
    "$1" - "$root/pyproject.toml" <<'PYTHON' | while read -r exact range; do
import re
import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
extras = [one for extra in ("data", "tensorboard") for one in project["optional-dependencies"][extra]]
for requirement in project["dependencies"] + extras:
    name, lowest = re.match(r"([\w-]+)>=([\w.]+)", requirement).groups()
    if name != "torch":
        print(f"{name}=={lowest}", requirement)
PYTHON
        if "$1" -m pip download --quiet --no-deps --only-binary :all: --dest "$scratch/wheels" "$exact" >/dev/null 2>&1; then
            echo "$exact"
        else
            echo "no wheel of $exact for $1" >&2
            echo "$range"
        fi
    done
}

# Make the environment `$scratch/$2` of Python $1 with the requirements that follow.
make_environment() {
    local python=$1 folder=$scratch/$2
    shift 2
    "$python" -m venv "$folder"
    "$folder/bin/pip" install --quiet "$torch" "$@"
    "$folder/bin/pip" install --quiet pytest pytest-xdist hypothesis beartype
    "$folder/bin/pip" install --quiet --no-deps -e "$root"
    "$folder/bin/pip" list --format freeze | grep -iE '^(torch|numpy|h5py|hydra-core|omegaconf|pandas|matplotlib|jaxtyping|scipy|scikit-learn|filelock)=' | xargs echo "  $(basename "$folder"):"
}

run_tests() {
    (cd "$root" && "$scratch/$1/bin/python" -m pytest -n 0 -p no:cacheprovider "${@:2}")
}

# Train each loop for one epoch and report on the runs, with their models.
run_loops() {
    mkdir -p "$scratch/runs/$1"
    cd "$scratch/runs/$1"
    for loop in ae gan_ae diffusion_ae; do
        "$scratch/$1/bin/thesis-train" loop=$loop name=$loop data.limit_events=300 phase1.trainer.epochs=1
    done
    "$scratch/$1/bin/thesis-train" loop=test_mlp name=test_mlp general.trainer.epochs=1
    cd "$root"
}

# Report with the environment $1 on the runs of the environment $2.
run_report() {
    (cd "$scratch/runs/$2" && "$scratch/$1/bin/thesis-report" --config-name compare_runs \
        'inputs.run_dirs=[outputs/runs/*]' inference.enabled=true outputs.which_figures=[rec_mse_curves])
}

for python in "${pythons[@]}"; do
    "$python" --version >/dev/null 2>&1 || { echo "no $python here"; continue; }
    mapfile -t minima < <(list_minima "$python")
    make_environment "$python" "$python-oldest" "${minima[@]}"
    run_tests "$python-oldest" -m quick tests/test_smoke.py
    [[ ${1:-} != --smoke ]] || { echo "the oldest versions pass"; exit 0; }
    mapfile -t newest < <(printf '%s\n' "${minima[@]}" | sed 's/[=>].*//; s/^hydra-core$/hydra-core<1.4/; s/^omegaconf$/omegaconf<2.4/')
    make_environment "$python" "$python-newest" "${newest[@]}"
    run_tests "$python-newest" -m quick tests/test_smoke.py
    for age in oldest newest; do
        run_tests "$python-$age" -m "" tests/test_phase1_assembly.py tests/data/convert
        run_loops "$python-$age"
        run_report "$python-$age" "$python-$age"
    done
    run_report "$python-oldest" "$python-newest"
    run_report "$python-newest" "$python-oldest"
    echo "$python: all passed"
done
