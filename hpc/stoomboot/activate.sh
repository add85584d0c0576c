# Sourced by the scripts of jobs: the environment, and where overrides of our own go among the user's.

hpc=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$hpc/../.." && pwd)
# Ten minutes to save and leave before the batch system stops the job.
margin_s=600

read_ad() {
    sed -n "s/^$1 = \"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$_CONDOR_JOB_AD"
}

activate_environment() {
    local prefix=$THESIS_ENVIRONMENT_DIR script
    if [[ ! -x $prefix/bin/python ]]; then
        echo "error: environment_dir: there is no $prefix/bin/python; set it in hpc/stoomboot/settings.sub" >&2
        exit 2
    fi
    export PATH="$prefix/bin:${PATH:-/usr/local/bin:/usr/bin:/bin}"
    if [[ -d $prefix/conda-meta ]]; then
        export CONDA_PREFIX=$prefix
        # Scripts of conda packages use variables that may not be set.
        set +u
        for script in "$prefix"/etc/conda/activate.d/*.sh; do
            [[ ! -e $script ]] || source "$script"
        done
        set -u
    else
        export VIRTUAL_ENV=$prefix
    fi
    # What runs is the code of the checkout that the job was submitted from.
    export PYTHONPATH=$repository/src
    # An empty setting means the folder of configs/env/stoomboot.yaml.
    [[ -n ${THESIS_DATA_ROOT:-} ]] || unset THESIS_DATA_ROOT
    [[ -n ${THESIS_OUTPUT_ROOT:-} ]] || unset THESIS_OUTPUT_ROOT
}

# Print the seconds that the job may take, nothing when its category has no limit. The job's description is asked at
# every start, because condor_qedit may have changed it.
find_max_time_s() {
    local category limit
    category=$(read_ad JobCategory)
    for limit in $THESIS_CATEGORY_TIMES_S; do
        [[ ${limit%%:*} != "$category" ]] || echo $((${limit##*:} - margin_s))
    done
}

# Set `arguments` to the user's, with those of the array `ours` in front of the first override: Hydra wants overrides
# side by side, and the last one wins.
merge_arguments() {
    local argument is_placed=
    arguments=()
    for argument in "$@"; do
        if [[ -z $is_placed && $argument != -* && ($argument == *=* || $argument == "~"*) ]]; then
            arguments+=("${ours[@]}")
            is_placed=yes
        fi
        arguments+=("$argument")
    done
    [[ -n $is_placed ]] || arguments+=("${ours[@]}")
}
