# SPDX-License-Identifier: BSD-2-Clause
# Sourced by the scripts beside it: where downloads are kept, and how to fill that place only once.
#
# What these scripts download is large, the same for every clone and never edited, so it lives outside
# the repository. An entry is filled in a folder of its own and renamed into place: either it is all
# there or it is not there, whatever interrupts us, and a reader never needs a lock.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# The cache folder, made if need be. PTNET_CACHE names another one.
cache_dir() {
    local dir
    if [ -n "${PTNET_CACHE:-}" ]; then
        dir=$PTNET_CACHE
    elif [ "$(id -u)" -eq 0 ]; then
        dir=/var/cache/ptnetmap
    else
        dir=${XDG_CACHE_HOME:-$HOME/.cache}/ptnetmap
    fi
    mkdir -p "$dir" || die "cannot make the cache folder $dir; name another with PTNET_CACHE"
    (cd "$dir" && pwd)
}

# cache_fill ENTRY COMMAND...: unless ENTRY is there, run COMMAND with a new folder as its last
# argument and keep that folder as ENTRY. Two clones that ask at once do the work once.
# A failing COMMAND ends the script and leaves nothing behind. That is set -e at work, so this must
# not be called from a condition, where bash takes no notice of it.
cache_fill() {
    local entry=$1
    shift
    if [ -d "$entry" ]; then return; fi
    (
        flock 9
        if [ -d "$entry" ]; then exit 0; fi
        rm -rf "$entry.part"
        mkdir -m 755 "$entry.part"
        trap 'rm -rf "$entry.part"' EXIT
        "$@" "$entry.part"
        # For all users of this machine to read, whatever the umask or the filler made of it.
        chmod 755 "$entry.part"
        mv "$entry.part" "$entry"
    ) 9>"$entry.lock"
}
