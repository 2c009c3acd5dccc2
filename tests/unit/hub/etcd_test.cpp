// SPDX-License-Identifier: MIT
// What etcd's JSON gateway says, read strictly; a cluster is in tests/hub.
#include "base/text/base64.hpp"
#include "base/text/json.hpp"
#include "hub/etcd/gateway.hpp"
#include "hub/etcd/places.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::hub;

namespace {

boost::json::object object(const std::string& text) {
    return json::parse(text, "it").get_object();
}

etcd::Refused refused(const std::string& text) {
    return etcd::refusal_in("etcd-1", object(text));
}

} // namespace

TEST_CASE("a refusal is read where a call's answer has it and where a stream's has it") {
    for (const char* text :
         {R"({"error": "etcdserver: too busy", "message": "etcdserver: too busy", "code": 14})",
          R"({"error": {"grpc_code": 14, "http_code": 503, "message": "etcdserver: too busy"}})",
          R"({"error": {"code": 14, "message": "etcdserver: too busy"}})"}) {
        INFO(text);
        const etcd::Refused error = refused(text);
        CHECK(error.Error::code() == Code::no_answer);
        CHECK(error.code() == 14);
        CHECK(error.words() == "etcdserver: too busy");
    }
    CHECK(refused(R"({"message": "x", "code": 7})").Error::code() == Code::denied);
    CHECK(refused(R"({"message": "etcdserver: request is too large", "code": 3})").Error::code() == Code::io);
    CHECK(refused("{}").Error::code() == Code::io);
}

TEST_CASE("all keys with a prefix are below its end, and no other") {
    CHECK(etcd::range_end("/a/") == "/a0");
    CHECK(etcd::range_end("a\xff") == "b");
    CHECK(etcd::range_end("\xff\xff") == std::string(1, '\0'));
}

TEST_CASE("keys are read with their revision, and nonsense is refused") {
    const auto items =
        etcd::items_in(object(R"({"kvs": [{"key": ")" + base64::encode("k") + R"(", "value": ")" +
                              base64::encode("v") + R"(", "mod_revision": "7"}]})"));
    REQUIRE(items.size() == 1);
    CHECK((items[0].key == "k" && items[0].value == "v" && items[0].modified == 7));
    CHECK(etcd::items_in(object("{}")).empty());
    CHECK(etcd::revision_of(object(R"({"header": {"revision": "12"}})")) == 12);
    for (const char* text : {R"({"kvs": {}})", R"({"kvs": [1]})", R"({"kvs": [{"key": "!"}]})",
                             R"({"kvs": [{"mod_revision": "x"}]})", R"({"kvs": [{"mod_revision": true}]})"}) {
        INFO(text);
        CHECK_THROWS_AS(etcd::items_in(object(text)), Error);
    }
}

TEST_CASE("what a host may read and what it may write lie apart, and reports sort by number") {
    const etcd::Places places("/blockhost", "host-a");
    CHECK(places.wanted == "/blockhost/hosts/host-a/wanted/");
    CHECK(places.told == "/blockhost/hosts/host-a/told/");
    CHECK(etcd::report_key(places, 9) < etcd::report_key(places, 10));
}
