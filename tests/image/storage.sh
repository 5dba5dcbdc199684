# shellcheck shell=sh
# Sourced: podman and buildah with storage and settings of their own below $IMAGE_STATE.
# Nothing else on the machine is touched.
mkdir -p "$IMAGE_STATE"
cat >"$IMAGE_STATE/storage.conf" <<S
[storage]
driver = "overlay"
graphroot = "$IMAGE_STATE/storage"
runroot = "$IMAGE_STATE/run"
S
# runc, cgroupfs and modest limits: also in a container or without systemd.
cat >"$IMAGE_STATE/containers.conf" <<'S'
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
S
export CONTAINERS_STORAGE_CONF="$IMAGE_STATE/storage.conf"
export CONTAINERS_CONF="$IMAGE_STATE/containers.conf" BUILDAH_ISOLATION=chroot
