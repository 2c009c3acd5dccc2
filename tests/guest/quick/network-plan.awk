# Cloud-init network configuration (version 2) to a plan of lines: `mac M`, `address A/P`, `route TO VIA`.
# Reads what blockhost-libvirt renders, block or flow style; not YAML at large.
function flush_route() {
    if (to != "") {
        if (to == "default") to = "0.0.0.0/0"
        print "route", to, (via != "" && via != "::" ? via : "link")
    }
    to = via = ""
}
{
    starts_entry = ($0 ~ /^ *-/)
    match($0, /^ */)
    indent = RLENGTH
    gsub(/[][,{}"']/, " ")
    sub(/^ *- */, " ")
    n = split($0, word, " ")
    if (in_nameservers && indent <= nameservers_indent) in_nameservers = 0
    if (mode == "routes" && starts_entry) flush_route()
    for (i = 1; i <= n; i++) {
        if (word[i] == "gateway6:") gateway6 = word[++i]
        else if (word[i] == "macaddress:") print "mac", tolower(word[++i])
        else if (word[i] == "nameservers:") { flush_route(); in_nameservers = 1; nameservers_indent = indent; mode = "" }
        else if (word[i] == "addresses:") { flush_route(); mode = "addresses" }
        else if (word[i] == "routes:") { flush_route(); mode = "routes" }
        else if (mode == "routes" && word[i] == "to:") { if (to != "") flush_route(); to = word[++i] }
        else if (mode == "routes" && word[i] == "via:") via = word[++i]
        else if (mode == "addresses" && !in_nameservers && word[i] ~ /\//) print "address", word[i]
    }
}
END {
    flush_route()
    if (gateway6 != "") print "route ::/0", gateway6
}
