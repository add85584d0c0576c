#!/usr/bin/env bash
# The job of train.sub and sweep.sub: thesis-train, in a folder that is the same at every start of the job.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/activate.sh"

started=$(date -u -d "@$(read_ad QDate)" +%Y%m%d-%H%M%S)
cluster=$(read_ad ClusterId)
process=$(read_ad ProcId)
# Hydra fills in the output folder, which only the configuration knows.
run_dir="\${env.output_root}/runs/run_${started}_job$cluster.$process"
sweep_dir="\${env.output_root}/multiruns/exp_${started}_job$cluster.$process"
if [[ ${1:-} == --in-sweep ]]; then
    shift
    run_dir="\${env.output_root}/multiruns/exp_${started}_job$cluster/$(printf %03d "$process")"
fi

trainer=phase1.trainer
ours=(env=stoomboot "hydra.sweep.dir=$sweep_dir")
goes_on=
for argument in "$@"; do
    case $argument in
        loop=test_mlp) trainer=general.trainer ;;
        resume=*) goes_on=yes ;;
    esac
done
# A run that is resumed by name goes on in its own folder.
[[ -n $goes_on ]] || ours+=("hydra.run.dir=$run_dir")
max_time_s=$(find_max_time_s)
[[ -z $max_time_s ]] || ours+=("$trainer.max_time_s=$max_time_s")

activate_environment
merge_arguments "$@"
# Without exec, python would never see the SIGTERM of an eviction.
exec python -m thesis_ml.cli.train "${arguments[@]}"
