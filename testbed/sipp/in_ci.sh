#!/usr/bin/env bash
# Calls through a running server with SIPp as its phones and its carrier, and asks the server's API what came of each
# call. Each argument is a case; without any all are run whose environment is there. The last line says how many went
# well. What it needs: sipp, curl and jq.
#
#   in_ci.sh [extension] [outside] [queue] [answer] [bad-carrier]
set -uo pipefail
cd "$(dirname "$0")" || exit 2

: "${API:=http://127.0.0.1:8000}"         # where the server's HTTP is
: "${KEY:?an API key with calls.*}"
: "${SERVER:=127.0.0.1:5060}"             # where its SIP is
: "${DOMAIN:=${SERVER%:*}}"               # [sip] domain
: "${CALLER:=1001}" "${CALLER_PASSWORD:=}"
: "${CALLEE:=1002}" "${CALLEE_PASSWORD:=}"
: "${PHONES:=127.0.0.1}"                  # the address of SIPp as phones; not that of the carrier
: "${PHONE_PORTS:=15080}"                 # it and the next one; sound has twenty from 20 ports later on
: "${CARRIER:=}"                          # IP:PORT that [[trunks]] address names: SIPp listens there
: "${OUTSIDE:=+919944421125}"             # a number that [dial_policy] allows
: "${QUEUE:=}"                            # number of a [[queues]]; its member is CALLEE
: "${LOGS:=$(mktemp -d)}"

caller_port=$PHONE_PORTS
callee_port=$((PHONE_PORTS + 1))
good=0
bad=0

say() { printf '%s\n' "$*"; }

# sipp_at ADDRESS PORT MEDIA_PORT SOUND SCENARIO NAME OPTIONS…: one call; SOUND is play or echo.
sipp_at() {
    local address=$1 port=$2 media=$3 sound=$4 scenario=$5 name=$6 echoes=()
    shift 6
    [ "$sound" = echo ] && echoes=(-rtp_echo)
    sipp -sf "$scenario.xml" -i "$address" -p "$port" -mi "$address" -mp "$media" ${echoes[@]+"${echoes[@]}"} \
        -key sound "$sound" -key domain "$DOMAIN" -m 1 -nostdin -timeout 30 -timeout_error \
        -trace_msg -message_file "$LOGS/$name-messages.log" -trace_err -error_file "$LOGS/$name-errors.log" \
        "$@" >"$LOGS/$name-screen.log" 2>&1 </dev/null
}

# listens PORT: waits until SIPp has bound it.
listens() {
    local hex
    hex=$(printf ':%04X ' "$1")
    for _ in $(seq 100); do
        grep -q "$hex" /proc/net/udp && return 0
        sleep 0.05
    done
    return 1
}

register() { # NUMBER PASSWORD PORT NAME
    sipp_at "$PHONES" "$3" "$((PHONE_PORTS + 20))" none register "$4-register" "$SERVER" \
        -key own_number "$1" -au "$1" -ap "$2"
}

invite() { # NUMBER SOUND NAME
    sipp_at "$PHONES" "$caller_port" "$((PHONE_PORTS + 24))" "$2" invite "$3-caller" "$SERVER" -s "$1" \
        -key own_number "$CALLER" -au "$CALLER" -ap "$CALLER_PASSWORD" -auth_uri "$1@$SERVER"
}

answer() { # ADDRESS PORT SOUND NAME
    sipp_at "$1" "$2" "$((PHONE_PORTS + 28))" "$3" answer_a_call "$4-callee"
}

api() { curl -sS --max-time 10 -H "X-API-Key: $KEY" "$@"; }

# newest FILTER: what jq makes of the call that began last, once it has ended.
newest() {
    local call
    for _ in $(seq 100); do
        call=$(api "$API/api/v1/calls?limit=1" | jq -c '.data[0]')
        [ "$(jq -r .state <<<"$call")" = ended ] && break
        sleep 0.1
    done
    jq -r "$1" <<<"$call"
}

# talked: two hung up on each other, and a second of sound or more has come from both. SIPp that echoes sends only what
# it has heard.
talked() {
    local result
    result=$(newest '[.end.reason, (.from.media.packets_received // 0) >= 50, (.to.media.packets_received // 0) >= 50] | @tsv')
    [ "$result" = "$(printf 'hung_up\ttrue\ttrue')" ] || { say "the call ended so: $result"; return 1; }
}

# two_calls NUMBER ADDRESS PORT NAME: once the caller hears itself through whom it calls, once the other way round.
two_calls() {
    local number=$1 address=$2 port=$3 name=$4 caller callee other
    for caller in play echo; do
        [ "$caller" = play ] && callee=echo || callee=play
        answer "$address" "$port" "$callee" "$name" &
        other=$!
        listens "$port" || return 1
        invite "$number" "$caller" "$name" || { wait "$other"; return 1; }
        wait "$other" && talked || return 1
    done
}

case_extension() {
    register "$CALLEE" "$CALLEE_PASSWORD" "$callee_port" extension && two_calls "$CALLEE" "$PHONES" "$callee_port" extension
}

case_outside() { two_calls "$OUTSIDE" "${CARRIER%:*}" "${CARRIER#*:}" outside; }

case_queue() {
    register "$CALLEE" "$CALLEE_PASSWORD" "$callee_port" queue && two_calls "$QUEUE" "$PHONES" "$callee_port" queue
}

# Both phones register and are called by the API.
case_answer() {
    register "$CALLER" "$CALLER_PASSWORD" "$caller_port" answer-from || return 1
    register "$CALLEE" "$CALLEE_PASSWORD" "$callee_port" answer-to || return 1
    local from to id body
    answer "$PHONES" "$callee_port" echo answer-to &
    to=$!
    sipp_at "$PHONES" "$caller_port" "$((PHONE_PORTS + 32))" play answer_a_call answer-from &
    from=$!
    listens "$caller_port" && listens "$callee_port" || return 1
    body="{\"from\":\"$CALLER\",\"to\":\"$CALLEE\"}"
    id=$(api -H 'Content-Type: application/json' -d "$body" "$API/api/v1/calls/click-to-call" | jq -r .call_id)
    for _ in $(seq 100); do
        [ "$(api "$API/api/v1/calls/$id" | jq -r .state)" = talking ] && break
        sleep 0.1
    done
    sleep 2
    api -X POST "$API/api/v1/calls/$id/hangup" >/dev/null
    wait "$from" && wait "$to" && talked
}

# misbehaves BEHAVIOUR STATUS REASON: the carrier does so, and the call ends so.
misbehaves() {
    local behaviour=$1 wanted=$2 carrier result
    printf 'SEQUENTIAL\n%s;-\n' "$behaviour" >"$LOGS/behaviour.csv"
    sipp_at "${CARRIER%:*}" "${CARRIER#*:}" "$((PHONE_PORTS + 28))" none bad_carrier "bad-$behaviour-carrier" \
        -inf "$LOGS/behaviour.csv" &
    carrier=$!
    listens "${CARRIER#*:}" || return 1
    # It is refused, which is a failure for SIPp.
    invite "$OUTSIDE" echo "bad-$behaviour"
    wait "$carrier" || { say "the carrier: $behaviour did not go as written"; return 1; }
    result=$(newest '"\(.end.reason) \(.end.sip_status)"')
    [ "$result" = "$wanted" ] || { say "$behaviour: the call ended as $result instead of $wanted"; return 1; }
}

# The carrier sends the call to an extension, whose phone answers.
moves_to_callee() {
    register "$CALLEE" "$CALLEE_PASSWORD" "$callee_port" bad-moved || return 1
    local callee carrier
    answer "$PHONES" "$callee_port" echo bad-moved &
    callee=$!
    printf 'SEQUENTIAL\nmoved;sip:%s@%s\n' "$CALLEE" "$DOMAIN" >"$LOGS/behaviour.csv"
    sipp_at "${CARRIER%:*}" "${CARRIER#*:}" "$((PHONE_PORTS + 36))" none bad_carrier bad-moved-carrier \
        -inf "$LOGS/behaviour.csv" &
    carrier=$!
    listens "$callee_port" && listens "${CARRIER#*:}" && invite "$OUTSIDE" play bad-moved || return 1
    wait "$callee" && wait "$carrier" && talked
}

case_bad-carrier() {
    misbehaves announcement "unreachable 480" && misbehaves no_media "unreachable 480" &&
        misbehaves challenge "refused 401" && misbehaves busy "busy 486" && moves_to_callee &&
        misbehaves unavailable "trunk_failed 503" && misbehaves silent "trunk_failed null"
}

run() {
    if "case_$1"; then
        good=$((good + 1))
        say "ok: $1"
    else
        bad=$((bad + 1))
        say "not ok: $1; what SIPp has seen is in $LOGS"
        tail -n 40 "$LOGS/${1%-*}"*errors.log 2>/dev/null
    fi
}

curl -sS --retry 30 --retry-delay 1 --retry-all-errors --max-time 10 -o "$LOGS/ready" "$API/api/v1/readyz" || exit 2
if [ $# -eq 0 ]; then
    set -- extension answer
    [ -z "$CARRIER" ] || set -- "$@" outside bad-carrier
    [ -z "$QUEUE" ] || set -- "$@" queue
fi
for name in "$@"; do run "$name"; done
say "$good passed, $bad failed"
[ "$bad" -eq 0 ]
