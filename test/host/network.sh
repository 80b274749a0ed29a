# shellcheck shell=bash
# What scenarios of networks share: a world outside of the host, servers in containers, what is owed.

HERE=192.0.2.1 OUTSIDE=192.0.2.2 HERE6=2001:db8::1 OUTSIDE6=2001:db8::2

# A namespace behind a pair of interfaces that has the host as its only neighbour.
outside_world() {
        [ -d /run/netns ] || on_exit eval 'umount /run/netns && rmdir /run/netns'
        ip netns add outside
        on_exit ip netns del outside
        ip link add outside0 type veth peer name eth0 netns outside
        on_exit eval 'ip link del outside0 2>/dev/null'
        ip addr add $HERE/24 dev outside0
        ip addr add $HERE6/64 dev outside0 nodad
        ip link set outside0 up
        ip -n outside addr add $OUTSIDE/24 dev eth0
        ip -n outside addr add $OUTSIDE6/64 dev eth0 nodad
        ip -n outside link set eth0 up
        ip -n outside link set lo up
}

# Where a scenario describes networks of its own.
networks_of_our_own() {
        mkdir -p /etc/uvm/networks
        on_exit rm -rf /etc/uvm/networks
}

# outside CMD ARG...: there.
outside() {
        if [ "$(type -t "$1")" = function ]; then
                INSIDE="ip netns exec outside" "$@"
        else
                ip netns exec outside "$@"
        fi
}

# The bridge and the chains that plugins share stay for the next container.
bridge_is_removed() {
        on_exit eval 'ip link del uvm0 2>/dev/null'
        on_exit eval 'for t in iptables ip6tables; do for n in filter nat mangle raw; do $t -t $n -F; $t -t $n -X; done; done 2>/dev/null'
        on_exit rm -rf /run/uvm/leases
}

# start_server NAME OPTION...: answers "hello from NAME" at tcp 80 and udp 53, by both protocols.
start_server() {
        local name=$1
        shift
        uvmctl run -d --name "$name" -v /usr:/usr:ro "$@" busybox sh -c '
                ln -s usr/lib /lib; ln -s usr/lib64 /lib64
                trap "exit 0" TERM
                for server in TCP6-LISTEN:80 UDP6-LISTEN:53; do
                        /usr/bin/socat "$server,ipv6only=0,fork,reuseaddr" SYSTEM:"echo hello from '"$name"'" &
                done
                wait; wait' >/dev/null
}

# address_of CONTAINER inet|inet6 [INTERFACE]
address_of() {
        uvmctl exec "$1" /bin/busybox ip -o addr show dev "${3:-eth0}" scope global |
                sed -n "s/.* $2 \([^/]*\).*/\1/p" | head -1
}

# reaches SERVER tcp4|tcp6|udp4|udp6 ADDRESS PORT
reaches() {
        # shellcheck disable=SC2086
        [ "$(${INSIDE:-} python3 "${BASH_SOURCE[0]%/*}/ask.py" "$2" "$3" "$4")" = "hello from $1" ]
}

# Says at $OUTSIDE:9000 who asks.
serve_outside() {
        local listen
        for listen in TCP4-LISTEN:9000 TCP6-LISTEN:9000,ipv6only=1; do
                ip netns exec outside socat "$listen,fork,reuseaddr" SYSTEM:'echo "peer $SOCAT_PEERADDR"' &
                on_exit eval "kill $! 2>/dev/null"
        done
        wait_until 20 eval '[ "$(ip netns exec outside ss -Hltn | grep -c :9000)" = 2 ]'
}

# owed ID: what the host still has of a sandbox in any network.
owed() {
        {
                iptables-save
                ip6tables-save
                find /var/lib/uvm/networks -type f 2>/dev/null
                grep -rl "$1" /run/uvm/leases 2>/dev/null
        } | grep -- "$1" || true
}
