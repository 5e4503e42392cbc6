"""What is asked of a machine, as small scripts for its shell, with their arguments behind them.

They need what POSIX and BusyBox have. What a tool that is missing hides must never look like a server that has stopped.
"""

from __future__ import annotations

NOT_THERE, NOT_ROOT, NO_TOOLS = 94, 95, 96  # exit codes of these scripts, which no program of theirs has

READ = 'if [ ! -e "$1" ]; then exit 94; fi; [ -f "$1" ] && head -c "$2" "$1"'
WRITE = """set -eu
fresh="$1.$$.partial"; trap 'rm -f "$fresh"' EXIT; umask 077
cat > "$fresh"
[ "$(wc -c < "$fresh")" -eq "$4" ]
chown --reference="$3" "$fresh"; chmod "$2" "$fresh"
sync "$fresh"; mv -f "$fresh" "$1"; sync "$(dirname "$1")\""""
COPY_ASIDE = """set -eu
if [ -e "$2" ]; then exit 0; fi
rm -rf "$2.partial"; cp -a "$1" "$2.partial"; sync; mv "$2.partial" "$2\""""
# That a user may not look into a folder is no sign that nothing is there.
KIND = """if [ -d "$1" ]; then echo folder; elif [ -e "$1" ]; then echo file; else
above=$(dirname "$1"); while [ ! -e "$above" ]; do above=$(dirname "$above"); done
[ -x "$above" ] || exit 95
echo nothing; fi"""
ROOM = """set -eu
du -sk "$1" | cut -f1; df -Pk "$1" | tail -n 1 | tr -s ' ' | cut -d' ' -f4"""

# A file is known by its path and by its number on its disk, as in a container, or behind a bind mount, its path is
# another. That nothing at all is open on a machine is no answer of it. A second argument is the one process meant.
HOLDERS = r"""[ "$(id -u)" = 0 ] || exit 95
folder=$(readlink -f "$1") || folder=$1
one=${2:-[0-9]*}
open() { printf '%s\0' /proc/$one/fd/* /proc/$one/cwd; }
pids=$({
find "$folder" -xdev -mindepth 1 -print0 2>/dev/null | xargs -0 stat -c 'in %d:%i' 2>/dev/null
open | xargs -0 stat -L -c 'open %d:%i %n' 2>/dev/null
open | xargs -0 ls -ld 2>/dev/null
} | FOLDER=$folder awk '
/^in / { inside[$2] = 1; next }
/^open / { opened++; split($3, part, "/"); if ($2 in inside) print part[3]; next }
{ rest = substr($0, index($0, " /proc/") + 1); to = index(rest, " -> "); if (to) led++; split(rest, part, "/")
  if (to && index(substr(rest, to + 4), ENVIRON["FOLDER"] "/") == 1) print part[3] }
END { if (!opened || !led) exit 1 }') || exit 96
for pid in $(printf '%s\n' "$pids" | sort -un)
do printf '%s %s\n' "$pid" "$(tr '\000\n' '  ' < "/proc/$pid/cmdline" 2>/dev/null | head -c 200)"; done"""

# Who listens on this port (in hex), with the address as the kernel spells it.
LISTENERS = """[ -r /proc/net/tcp ] || exit 96
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$1" '
$4 == "0A" { split($2, at, ":"); if (at[2] == port) print at[1] } END { if (!NR) exit 1 }' || exit 96"""

# A server's program, folder, options, and what of its environment begins with a prefix.
COMMAND_LINE = """set -eu
readlink -f "/proc/$1/exe"; readlink -f "/proc/$1/cwd"
tr '\\000' '\\n' < "/proc/$1/cmdline" | sed 's/^/arg /'
tr '\\000' '\\n' < "/proc/$1/environ" | grep "^$2" | sed 's/^/env /' || true"""

# Run a server until its log says that it is there, as the user whose the file is, and end it; a spare file goes too.
RUN_ONCE = """set -eu
like="$1"; said="$2"; limit="$3"; cd "$4"; spare="$5"; shift 5
log=$(mktemp); pid=; echo "$$" > "$like.once"
trap 'if [ -n "$pid" ]; then kill -9 "$pid" 2>/dev/null || true; fi; rm -f "$log" "$like.once" $spare' EXIT
trap 'exit 1' HUP INT TERM
owner=$(stat -c %u "$like"); group=$(stat -c %g "$like")
if [ "$owner" = "$(id -u)" ]; then "$@" > "$log" 2>&1 &
else setpriv --reuid "$owner" --regid "$group" --clear-groups -- "$@" > "$log" 2>&1 &
fi
pid=$!; waited=0
until grep -q "$said" "$log"; do
if ! kill -0 "$pid" 2>/dev/null; then echo "it ended by itself: $(tail -n 1 "$log" | head -c 300)" >&2; exit 1; fi
if [ "$waited" -ge "$limit" ]; then echo "not there after $limit s: $(tail -n 1 "$log" | head -c 300)" >&2; exit 1; fi
sleep 1; waited=$((waited + 1))
done
kill "$pid"; ended=0
while kill -0 "$pid" 2>/dev/null && [ "$ended" -lt 300 ]; do sleep 0.1; ended=$((ended + 1)); done"""
# Whether that is still going on, begun by a run that was killed.
RUNS_ONCE = """[ -f "$1.once" ] && kill -0 "$(cat "$1.once")" 2>/dev/null && echo yes || echo no"""
MOVE_ASIDE = """set -eu
if [ ! -e "$1" ]; then exit 0; fi
if [ -e "$2" ]; then rm -rf "$1.emptied"; mv "$1" "$1.emptied"; rm -rf "$1.emptied"; else mv "$1" "$2"; fi
sync "$(dirname "$1")\""""

# On which addresses, as the kernel spells them, each of these processes itself listens on this port (in hex).
LISTENING = """port=$1; shift
for pid in "$@"; do
{ ls -l "/proc/$pid/fd"; cat "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6"
} 2>/dev/null | awk -v port="$port" -v pid="$pid" '
$NF ~ /^socket:/ { own[$NF] = 1; next }
$4 == "0A" { split($2, at, ":"); if (at[2] == port && ("socket:[" $10 "]") in own) print pid, at[1] }'
done"""
# Who has the folder open is looked at again just before each, as a number may have become another process's.
KILL = f"""held() {{ {HOLDERS}
}}
[ "$(id -u)" = 0 ] || exit 95
folder=$1; shift
for pid in "$@"; do
[ -z "$(held "$folder" "$pid")" ] || kill -KILL "$pid"
done"""

# All of it at once, as each call by ssh costs a second: the data folder, the file with the id, the unit, the address
# and the port in hex.
EXAMINE = f"""held() {{ {HOLDERS}
}}
listeners() {{ {LISTENERS}
}}
[ "$(id -u)" = 0 ] || exit 95
said=$(held "$1") || exit $?; printf '%s\\n' "$said" | sed -n 's/^./held &/p'
said=; [ "$5" = 0000 ] || said=$(listeners "$5") || exit $?; printf '%s\\n' "$said" | sed -n 's/^./listens &/p'
[ ! -d "$1" ] || echo folder
if [ -n "$2" ] && [ -f "$1/$2" ]; then echo "id $(head -c 100 "$1/$2" | head -n 1)"; fi
case $(ip -o route get "$4" 2>/dev/null) in local\\ *) echo own;; esac
[ -z "$3" ] || systemctl show --property=LoadState,ActiveState,UnitFileState -- "$3\""""
