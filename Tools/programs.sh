# Sourced by Tools/install and Tools/run: puts the programs and qmail's names for them into a bin directory.
# put_programs FROM TO [COMMAND]: with COMMAND (a function that takes another command), everything in TO is done through it.
put_programs() {
    local from=$1 to=$2 as=${3:-command} program name
    for program in martletd martlet martlet-tls qmail qmail-inject martlet-lspawn; do
        # Beside the old one and over it, so that a running process keeps the file it has.
        "$as" sh -c 'cat >"$1" && chmod 755 "$1"' - "$to/.$program.new" <"$from/$program"
        "$as" mv -fT "$to/.$program.new" "$to/$program"
    done
    while read -r name _ program; do
        [ "$name" = "$program" ] || "$as" ln -sfnT "$program" "$to/$name"
    done < <("$from/qmail" --names)
}

# put_pages FROM TO: the manual pages of those names and of our own programs in TO/man1, TO/man5 and TO/man8.
put_pages() {
    local name section
    mkdir -p "$2/man8"
    for name in martletd martlet martlet-tls; do
        "$1/$name" --man >"$2/man8/$name.8"
        chmod 644 "$2/man8/$name.8"
    done
    while read -r name section _; do
        mkdir -p "$2/man$section"
        "$1/qmail" --man "$name" >"$2/man$section/$name.$section"
        chmod 644 "$2/man$section/$name.$section"
    done < <("$1/qmail" --names)
}
