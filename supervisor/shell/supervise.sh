#!/bin/sh
# Becomes the supervisor where systemd or launchd looks after it. Usage: supervise.sh NODE ENTRY, with PAIOS_HOME set.
# The options and variables of memory are those of keeper.sh, which says why.
umask 077
unset PAIOS_KEEPER
MALLOC_ARENA_MAX=1
MALLOC_MMAP_THRESHOLD_=131072
MALLOC_TRIM_THRESHOLD_=131072
export MALLOC_ARENA_MAX MALLOC_MMAP_THRESHOLD_ MALLOC_TRIM_THRESHOLD_
exec "$1" --min-semi-space-size=1 --max-semi-space-size=1 --expose-gc "$2" supervise
