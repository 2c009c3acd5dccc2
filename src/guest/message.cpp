// SPDX-License-Identifier: MIT
/// See message.hpp.

#include "guest/message.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <new>

namespace blockhost::guest {
namespace {

namespace bj = boost::json;

constexpr std::size_t deepest = 16;
/// A reply's tree takes a small multiple of its text; a text of empty lists would take many times as much.
constexpr std::size_t tree_per_text = 4;
constexpr std::size_t smallest_tree = 64 * 1024;

/// A memory resource with an upper bound.
class Bounded final : public bj::memory_resource {
  public:
    explicit Bounded(std::size_t most) : left_(most) {}

  private:
    /// No JSON value needs more than the alignment of operator new.
    void* do_allocate(std::size_t size, std::size_t) override {
        if (size > left_) throw std::bad_alloc();
        left_ -= size;
        return ::operator new(size);
    }
    void do_deallocate(void* memory, std::size_t size, std::size_t) override {
        left_ += size;
        ::operator delete(memory);
    }
    bool do_is_equal(const bj::memory_resource& other) const noexcept override { return this == &other; }

    std::size_t left_;
};

Error unfit(std::string_view command, const std::string& why) {
    return Error(Code::guest, "the guest agent's reply to " + std::string(command) + " " + why);
}

bj::value parse(std::string_view reply, std::string_view command, std::size_t most) {
    if (reply.size() > most)
        throw unfit(command, "is larger than " + text::human_bytes(most) + " (" +
                                 text::human_bytes(reply.size()) + ")");
    bj::parse_options options;
    options.max_depth = deepest;
    bj::storage_ptr memory = bj::make_shared_resource<Bounded>(smallest_tree + reply.size() * tree_per_text);
    boost::system::error_code malformed;
    try {
        bj::value value = bj::parse({reply.data(), reply.size()}, malformed, memory, options);
        if (!malformed) return value;
    } catch (const std::bad_alloc&) {
        throw unfit(command, "has too many parts");
    }
    if (malformed == bj::error::incomplete) throw unfit(command, "ends in the middle");
    if (malformed == bj::error::too_deep) throw unfit(command, "is nested too deep");
    throw unfit(command, "is not JSON");
}

} // namespace

bj::value returned_by(std::string_view reply, std::string_view command, std::size_t most) {
    bj::value value = parse(reply, command, most);
    if (const bj::value* error = json::member(value, "error"))
        throw Error(Code::guest, "the guest agent refused " + std::string(command) + ": " +
                                     text::printable(json::string_or(*error, "desc", "")));
    const bj::value* returned = json::member(value, "return");
    if (returned == nullptr) throw unfit(command, "has no result");
    return bj::value(*returned, bj::storage_ptr()); // a copy outside of the bounded memory
}

bj::value ask(const AgentCall& call, std::string_view command, bj::object arguments, std::size_t most) {
    bj::object message{{"execute", command}};
    if (!arguments.empty()) message["arguments"] = std::move(arguments);
    return returned_by(call(bj::serialize(message)), command, most);
}

bool is_silence(const Error& error) {
    return error.code() == Code::guest && error.message().find(agent_silent) != std::string::npos;
}

} // namespace blockhost::guest
