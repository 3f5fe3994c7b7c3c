# Sourced by Tools/install and Tools/run: puts the programs and qmail's names for them into a bin directory.
# put_programs FROM TO
put_programs() {
    local from=$1 to=$2 program name
    for program in martletd qmail martlet-lspawn; do
        # Beside the old one and over it, so that a running process keeps the file it has.
        install -m 755 "$from/$program" "$to/.$program.new"
        mv -f "$to/.$program.new" "$to/$program"
    done
    while read -r name; do ln -sfn qmail "$to/$name"; done <"$(dirname "${BASH_SOURCE[0]}")/commands"
}
