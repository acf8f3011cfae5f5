#!/usr/bin/env bash
# start.sh FOLDER OPTION...: a container engine whose data and socket are in a folder. It must be the
# first process of namespaces of its own (mounts, control groups, processes, network, IPC, host name),
# and ends with them: nothing of it stays, and nothing leaves its network, which has no way out.
set -euo pipefail
folder=$1
shift

mount --make-rprivate /
# What is of one start only: its process ids are those of its own namespace, and no other's.
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /sys/fs/cgroup
while IFS=: read -r number controllers _; do
    # Control groups of the first version. One has no controller, but a name: by it runc finds a
    # container's own group when something more is started there.
    if [[ $number == 0 ]]; then continue; fi
    options=$controllers
    if [[ $controllers == name=* ]]; then options=none,$controllers; fi
    mounted=/sys/fs/cgroup/${controllers#name=}
    mkdir "$mounted"
    mount -t cgroup -o "$options" cgroup "$mounted"
done </proc/self/cgroup
ip link set lo up

# tini takes leave of the containers' ended shims, which otherwise would stay.
exec tini-static -- dockerd --data-root "$folder/data" --exec-root /run/docker \
    --pidfile /run/docker.pid --host "unix://$folder/docker.sock" \
    --init-path "$(command -v tini-static)" "$@"
