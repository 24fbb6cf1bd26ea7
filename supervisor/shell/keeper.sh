#!/bin/sh
# Keeps the supervisor alive where neither launchd nor systemd does. Usage: keeper.sh NODE ENTRY LOG
# Starts the supervisor again when it ends with anything but 0 (asked to end) or 5 (another one runs);
# waits 1 s after the first failure, doubling to 60 s, and 1 s again after a run of a minute.
# The supervisor makes little garbage and lives long: a nursery of 1 MiB for new objects costs it least memory,
# and it collects its garbage by the clock.
# One arena and a fixed threshold keep glibc from holding on to what was freed: 5 MiB less with the probes of a whole
# mesh. Services get a declared environment, so none of this reaches them.
# LOG is where its output goes. Grown beyond 1 MiB it is cut to its last 256 KiB between two lives, when nobody writes.
# PAIOS_KEEPER tells the supervisor who keeps it. PAIOS_KEEPER_MAX_WAIT (whole seconds, 60 unless set) bounds the
# wait; 0 starts it again at once, for tests that kill it many times.
node=$1
entry=$2
log=$3
max_s=${PAIOS_KEEPER_MAX_WAIT:-60}
wait_s=1
child=
stop=
# The child may be started and not named yet when the signal comes, so the loop looks at the flag, too.
trap 'stop=1; [ -n "$child" ] && kill -TERM "$child" 2>/dev/null' TERM
trap '' HUP INT
PAIOS_KEEPER=$$
MALLOC_ARENA_MAX=1
MALLOC_MMAP_THRESHOLD_=131072
MALLOC_TRIM_THRESHOLD_=131072
export PAIOS_KEEPER MALLOC_ARENA_MAX MALLOC_MMAP_THRESHOLD_ MALLOC_TRIM_THRESHOLD_
# In place, since the open file is appended to: what is written next goes behind the part that is kept.
trim() {
  [ -f "$log" ] && [ $(wc -c <"$log") -gt 1048576 ] || return 0
  tail -c 262144 "$log" >"$log.part" && cat "$log.part" >"$log"
  rm -f "$log.part"
}
while :; do
  begun=$(date +%s)
  "$node" --min-semi-space-size=1 --max-semi-space-size=1 --expose-gc "$entry" supervise &
  child=$!
  [ -n "$stop" ] && kill -TERM "$child" 2>/dev/null
  wait "$child"
  code=$?
  [ -n "$stop" ] && exit 0
  child=
  case $code in
    0|5) exit "$code" ;;
  esac
  [ $(($(date +%s) - begun)) -ge 60 ] && wait_s=1
  [ "$wait_s" -gt "$max_s" ] && wait_s=$max_s
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) supervisor ended with code $code; starting it again in $wait_s s"
  sleep "$wait_s" &
  child=$!
  [ -n "$stop" ] && kill -TERM "$child" 2>/dev/null
  wait "$child"
  [ -n "$stop" ] && exit 0
  child=
  wait_s=$((wait_s * 2))
  trim
done
