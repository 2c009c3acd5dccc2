// SPDX-License-Identifier: MIT
// Answers of a Proxmox node that are no success, as a node of version 9.2 gave them.
#include "platform/proxmox/refusal.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::platform::proxmox;
using enum RefusalKind;

namespace {

Refusal seen(int status, const std::string& reason, const std::string& body = {}) {
    return refusal_of({status, reason, "application/json;charset=UTF-8", body});
}

} // namespace

TEST_CASE("a missing privilege is told with its path") {
    const Refusal refusal =
        seen(403, "Permission check failed (/vms/140, VM.Allocate)",
             R"({"data":null,"message":"Permission check failed (/vms/140, VM.Allocate)\n"})");
    CHECK(refusal.kind == forbidden);
    CHECK(refusal.path == "/vms/140");
    CHECK(refusal.privileges == "VM.Allocate");
    CHECK(seen(403, "Permission check failed (/vms/180, VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted)")
              .privileges == "VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted");
    CHECK(seen(403, "Permission check failed").kind == forbidden);
}

TEST_CASE("what no token may do is told apart from a missing privilege") {
    for (auto reason :
         {"Permission check failed (changing feature flags (except nesting) is only allowed for root@pam)",
          "Permission check failed (user != root@pam)",
          "Permission check failed (URI '/access/ticket' not available with API token, need proper ticket.",
          "only root can set 'args' config"})
        CHECK(seen(403, reason).kind == root_only);
    CHECK(seen(500, "only root can set 'lock' config").kind == root_only);
    const Refusal refusal = seen(400, "Parameter verification failed.",
                                 R"({"data":null,"errors":{"dumpdir":"Only root may set this option."}})");
    CHECK(refusal.kind == root_only);
    CHECK(refusal.parameters.contains("dumpdir"));
}

TEST_CASE("a parameter that only root may give is no wrong value") {
    const Refusal refusal = seen(400, "Parameter verification failed.",
                                 R"({"data":null,"errors":{"skiplock":"Only root may use this option."}})");
    CHECK(refusal.kind == root_only);
    CHECK(refusal.parameters.contains("skiplock"));
    CHECK(seen(400, "Parameter verification failed.",
               R"({"data":null,"errors":{"dumpdir":"Only root may set this option."}})")
              .kind == root_only);
}

TEST_CASE("a shutdown that had no effect is no sign of somebody else's work") {
    CHECK(refusal_in("VM quit/powerdown failed - got timeout").kind == no_reaction);
    CHECK(refusal_in("can't lock file '/var/lock/qemu-server/lock-140.conf' - got timeout").kind == busy);
}

TEST_CASE("a body that is too large is a wrong one, and no unknown call") {
    CHECK(seen(501, "for data too large", "for data too large").kind == invalid);
    CHECK(seen(501, "Unexpected content for method 'DELETE'").kind == invalid);
    CHECK(seen(501, "Method 'GET /nonsense' not implemented").kind == unknown_call);
    CHECK(seen(501, "method 'PATCH' not available").kind == unknown_call);
}

TEST_CASE("a refusal of a token or of its absence is one kind") {
    CHECK(seen(401, "Authentication failed!").kind == unauthenticated);
    CHECK(seen(401, "No ticket").kind == unauthenticated);
}

TEST_CASE("the kinds of status 500 are told apart") {
    CHECK(seen(500, "Configuration file 'nodes/pve1/qemu-server/9999.conf' does not exist").kind == no_guest);
    CHECK(seen(500, "Configuration file 'nodes/pve1/lxc/150.conf' does not exist").kind == no_guest);
    CHECK(seen(500, "unable to create VM 172 - CT 172 already exists on node 'pve1'").kind == exists);
    CHECK(seen(500, "CT 212 already exists on node 'pve1'").kind == exists);
    CHECK(seen(500, "can't lock file '/var/lock/qemu-server/lock-140.conf' - got timeout").kind == busy);
    CHECK(seen(500, "can't lock file '/run/lock/lxc/pve-config-161.lock' - got timeout").kind == busy);
    CHECK(seen(500, "checksum mismatch (file change by other user?)").kind == changed);
    CHECK(seen(500, "detected modified configuration - file changed by other user? Try again.").kind ==
          changed);
    CHECK(seen(500, "hostname lookup 'pve9' failed - failed to get address info for: pve9: Name or service")
              .kind == no_node);
    CHECK(seen(500, "CT 150 already running").kind == wrong_state);
    CHECK(seen(500, "VM 140 not running").kind == wrong_state);
    CHECK(seen(500, "unable to destroy CT 150 - container is running").kind == wrong_state);
    CHECK(seen(500, "can't remove VM 140 - protection mode enabled").kind == wrong_state);
    CHECK(seen(500, "QEMU guest agent is not running").kind == no_agent);
    CHECK(seen(500, "No QEMU guest agent configured").kind == no_agent);
    CHECK(seen(500, "storage 'nosuch' does not exist").kind == no_storage);
    CHECK(seen(500, "storage 'usb-1' is not online").kind == no_storage);
    CHECK(seen(500, "storage 'usb-1' is disabled").kind == no_storage);
    CHECK(seen(500, "unable to activate storage 'usb-1' - directory '/mnt/usb-1' does not exist").kind ==
          no_storage);
    CHECK(seen(500, "write failed: No space left on device").kind == no_room);
    CHECK(seen(500, "unable to find VM '100'").kind == no_guest);
}

TEST_CASE("a lock flag is named") {
    const Refusal refusal = seen(500, "VM is locked (backup)");
    CHECK(refusal.kind == locked);
    CHECK(refusal.lock == "backup");
    CHECK(seen(500, "CT is locked (snapshot-delete)").lock == "snapshot-delete");
    CHECK(seen(500, "VM is locked (cut").kind == locked);
}

TEST_CASE("the parameters that are wrong are named, control characters made visible") {
    const Refusal refusal = seen(
        400, "Parameter verification failed.",
        R"({"data":null,"message":"Parameter verification failed.\n","errors":{"memory":"type check ('integer')\n"}})");
    CHECK(refusal.kind == invalid);
    CHECK(refusal.words == "Parameter verification failed.");
    CHECK(refusal.parameters == std::map<std::string, std::string>{{"memory", "type check ('integer')"}});
    CHECK(seen(400, "bad\x1b[2J").words == "bad\\x1b[2J");
}

TEST_CASE("the message is taken where the reason is cut off") {
    CHECK(seen(500, "malformed JSON string, (before \"(en",
               R"({"data":null,"message":"malformed JSON string, (before \"(end\")\n"})")
              .words == "malformed JSON string, (before \"(end\")");
    CHECK(seen(501, "", "Unexpected content for method 'DELETE'").words ==
          "Unexpected content for method 'DELETE'");
}

TEST_CASE("a dead daemon's answers say whether the call was carried out") {
    CHECK(seen(595, "Connection refused").kind == not_executed);
    for (int status : {596, 597, 599, 502, 503, 504})
        CHECK(seen(status, "Connection timed out").kind == unknown);
}

TEST_CASE("what no node sends is unreadable") {
    CHECK(seen(302, "Found", "<html>").kind == unreadable);
    CHECK(refusal_of({500, "Oops", "text/html; charset=utf-8", "<html>"}).kind == unreadable);
    CHECK(refusal_of({403, "Forbidden", "text/html", "<html>"}).kind == unreadable);
    CHECK_FALSE(data_of({200, "OK", "text/html", "<html>"}));
    CHECK_FALSE(data_of({200, "OK", "application/json", R"({"date":1})"}));
    CHECK_FALSE(data_of({200, "OK", "application/json", R"([1])"}));
    CHECK(data_of({200, "OK", "application/json", R"({"data":null})"})->is_null());
    CHECK(data_of({200, "OK", "application/json", R"({"data":[1],"total":1})"})->is_array());
}

TEST_CASE("a call that the node does not know is told apart from one that it does not take like that") {
    CHECK(seen(501, "Method 'GET /nonsense' not implemented").kind == unknown_call);
    CHECK(seen(501, "for data too large", "for data too large").kind == invalid);
}

TEST_CASE("a task's end is read like an answer's reason") {
    CHECK(refusal_in("403 Permission check failed (/, Sys.Modify)").privileges == "Sys.Modify");
    CHECK(refusal_in("CT is locked (backup)").lock == "backup");
}
