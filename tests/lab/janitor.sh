# Takes away what the process $1 left on this machine, once its standard input has come to an end: the other end of
# that pipe closes when the process is gone, whatever ended it.
# $2: the laboratory's folder, $3: the folder of the sites.
trap '' INT TERM HUP
cat >/dev/null

for folder in "$2"/registry-"$1"-*; do
    pid=$(cat "$folder/pid" 2>/dev/null) || continue
    # An id may be used again, by somebody else.
    grep -qs "$folder" "/proc/$pid/cmdline" && kill -9 "$pid"
done
docker ps -aq --filter "name=^uplab-$1-" | xargs -r docker rm -f -v
docker volume ls -q --filter "name=^uplab-$1-" | xargs -r docker volume rm -f
docker network ls -q --filter "name=^uplab-$1-" | xargs -r docker network rm
for folder in "$2"/registry-"$1"-*; do
    [ -d "$folder" ] || continue
    # Names that the registry's port is part of; the images go only with their last name.
    # What was pulled by its digest has a name by that too.
    for kind in '{{.Repository}}:{{.Tag}}' '{{.Repository}}@{{.Digest}}'; do
        docker image ls --digests --filter "reference=localhost:${folder##*-}/*/*" --format "$kind" |
            grep -v '<none>' | sort -u | xargs -r docker image rm
    done
    rm -rf "$folder"
done
rm -rf "$3/uplab-$1-"*
