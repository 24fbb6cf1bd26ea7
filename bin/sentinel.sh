#!/bin/sh
# Watches over the supervisor from outside, and shares no code with it. systemd or launchd runs it every minute, or,
# where neither looks after the supervisor, cron or any other timer:
#   sentinel.sh HOME systemd UNIT      sentinel.sh HOME launchd LABEL      sentinel.sh HOME up NODE ENTRY
# The supervisor touches HOME/run/alive every second and removes it when the mesh is taken down. Two looks in a row
# without a sign of life, while the machine was awake, and it is started again through systemd, launchd or `paios up`; if
# that did not help, the next time the Telegram chat is told as well, by curl, which reads the token from its stdin.
# A look that comes late means that the machine slept or was off: then the count begins anew.
# HOME/run/sentinel holds: time of the last look, looks without a sign of life, restarts in a row, 1 if somebody was told.
# PAIOS_SENTINEL_EVERY (whole seconds, 60 unless set) is the time between two looks, for tests.
home=$1
init=$2
name=$3
entry=$4
every=${PAIOS_SENTINEL_EVERY:-60}
alive=$home/run/alive
stamp=$home/run/sentinel
log=$home/logs/supervisor/sentinel.log
launchctl=${PAIOS_LAUNCHCTL:-launchctl}
umask 077

say() {
  [ -f "$log" ] && [ "$(wc -c <"$log")" -gt 1048576 ] && : >"$log"
  { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $1" >>"$log"; } 2>/dev/null || echo "$1" >&2
}

setting() {
  sed -n "s/^$1=//p" "$home/run/sentinel.conf" 2>/dev/null
}

# The value of a variable in HOME/env, else in this environment; $1 is its name. Nothing where that is none.
variable() {
  case $1 in '' | [0-9]* | *[!A-Za-z0-9_]*) return ;; esac
  line="[[:space:]]*\\(export[[:space:]][[:space:]]*\\)\\{0,1\\}$1[[:space:]]*="
  value=$(
    sed -n "/^$line/{
      s/^$line[[:space:]]*//
      s/[[:space:]]*\$//
      s/^\"\\(.*\\)\"\$/\\1/
      s/^'\\(.*\\)'\$/\\1/
      p
      q
    }" "$home/env" 2>/dev/null
  )
  [ -n "$value" ] || eval "value=\${$1:-}"
  printf '%s\n' "$value"
}

# The bot's token: of a file, or of a variable.
token_of() {
  file=$(setting token_file)
  if [ -n "$file" ]; then cat "$file" 2>/dev/null; else variable "$(setting token_env)"; fi
}

# Tells the chat; the text has neither quotes nor backslashes. Says in the log whether it was taken.
tell() {
  chat=$(setting chat)
  api=$(setting api)
  token=$(token_of)
  if [ -z "$chat" ] || [ -z "$token" ]; then
    say 'nobody was told: the document names no Telegram chat with a token that can be read here'
    return 1
  fi
  if ! command -v curl >/dev/null 2>&1; then
    say 'nobody was told: curl is not installed'
    return 1
  fi
  answer=$(
    {
      printf 'url = "%s/bot%s/sendMessage"\n' "$api" "$token"
      printf 'data-urlencode = "chat_id=%s"\n' "$chat"
      printf 'data-urlencode = "text=%s"\n' "$1"
    } | curl -q --silent --max-time 20 --output /dev/null --write-out '%{http_code}' --config - 2>/dev/null
  )
  if [ "$answer" = 200 ]; then
    say "told the chat: $1"
    return 0
  fi
  say "nobody was told: Telegram answered ${answer:-nothing} (000 is no answer at all)"
  return 1
}

# True if an operator has stopped the supervisor by systemctl or launchctl.
is_stopped() {
  case $init in
    systemd)
      shown=$(systemctl --user show "$name" --property=ActiveState,Result 2>/dev/null)
      case $shown in
        *ActiveState=inactive*) case $shown in *Result=success*) return 0 ;; esac ;;
      esac
      return 1
      ;;
    launchd) "$launchctl" print "gui/$(id -u)/$name" >/dev/null 2>&1 && return 1 || return 0 ;;
  esac
  return 1
}

start_again() {
  case $init in
    systemd)
      systemctl --user reset-failed "$name" 2>/dev/null
      systemctl --user --no-block restart "$name"
      ;;
    launchd) "$launchctl" kickstart -k "gui/$(id -u)/$name" ;;
    up)
      # One that is there and hangs, or another process of its number: whose it is cannot be proven here.
      pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$home/run/supervisor.lock" 2>/dev/null)
      if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
        echo "process $pid is there and gives no sign of life"
        return 1
      fi
      PAIOS_HOME=$home "$name" "$entry" up --no-wait </dev/null
      ;;
    *)
      echo "usage: sentinel.sh HOME systemd|launchd NAME, or sentinel.sh HOME up NODE ENTRY"
      return 2
      ;;
  esac
}

now=$(date +%s)
last=0 missed=0 restarts=0 told=0
[ -r "$stamp" ] && read -r last missed restarts told <"$stamp"
since=$((now - ${last:-0}))
# Started twice at once, say by hand: this one does not count.
[ "$since" -ge 0 ] && [ "$since" -lt $((every / 2)) ] && exit 0

host=$(uname -n)
if [ ! -e "$alive" ]; then
  # Down on purpose, or never started.
  missed=0 restarts=0 told=0
elif [ "$since" -lt 0 ] || [ "$since" -gt $((every * 5 / 2)) ]; then
  missed=0
elif [ -n "$(find "$alive" -newer "$stamp" 2>/dev/null)" ]; then
  if [ "$restarts" -gt 0 ]; then
    say 'the supervisor gives signs of life again'
    [ "$told" = 1 ] && tell "✅ $host: the PAIOS supervisor is back."
  fi
  missed=0 restarts=0 told=0
elif is_stopped; then
  missed=0 restarts=0 told=0
else
  missed=$((missed + 1))
fi

if [ "$missed" -ge 2 ]; then
  missed=0
  restarts=$((restarts + 1))
  say "no sign of life for $((every * 2)) s: starting the supervisor again through $init ($name)"
  said=$(start_again 2>&1) || say "that failed: $said"
  # Told with the second restart, and again about once an hour.
  if [ "$restarts" -ge 2 ] && { [ "$told" != 1 ] || [ $((restarts % 30)) -eq 0 ]; }; then
    text="🔴 $host: the PAIOS supervisor gives no sign of life, and starting it again has not helped."
    tell "$text Look at $(echo "$log" | sed "s#^$HOME/#~/#")" && told=1
  fi
fi

echo "$now $missed $restarts $told" >"$stamp.new" && mv "$stamp.new" "$stamp"
