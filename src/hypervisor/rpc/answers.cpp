// SPDX-License-Identifier: MIT
/// See answers.hpp.

#include "hypervisor/rpc/answers.hpp"

#include "base/text/text.hpp"
#include "hypervisor/common/states.hpp"
#include "hypervisor/rpc/procedures.hpp"

namespace blockhost::rpc {
namespace {

constexpr std::size_t least_domain = 4 + 16 + 4; ///< an empty name, a uuid, an id
constexpr std::size_t least_record = least_domain + 4;
constexpr std::size_t least_parameter = 4 + 4 + 4; ///< an empty name, a type, a number

/// A part that is followed by others.
Domain take_domain(Reader& reader) {
    Domain domain;
    domain.name = reader.text();
    domain.uuid = reader.raw();
    domain.id = reader.signed_number();
    return domain;
}

/// One remote_typed_param, as far as it is a number; those below zero count as zero.
struct Parameter {
    std::string_view name;
    std::optional<std::uint64_t> value;
};

Parameter take_parameter(Reader& reader) {
    Parameter parameter{reader.text(), {}};
    enum Type { integer = 1, natural, wide_integer, wide_natural, floating, boolean, text };
    switch (reader.number()) {
    case integer: {
        const auto value = reader.signed_number();
        parameter.value = value < 0 ? 0 : static_cast<std::uint64_t>(value);
        break;
    }
    case natural:
        parameter.value = reader.number();
        break;
    case wide_integer: {
        const auto value = static_cast<std::int64_t>(reader.wide());
        parameter.value = value < 0 ? 0 : static_cast<std::uint64_t>(value);
        break;
    }
    case wide_natural:
        parameter.value = reader.wide();
        break;
    case floating:
        reader.wide();
        break;
    case boolean:
        reader.number();
        break;
    case text:
        reader.text();
        break;
    default:
        throw Surprise("a parameter in an answer has a type that we do not know");
    }
    return parameter;
}

/// The parameters of one record. Whoever looks for them in libvirt's order finds each at once.
class Parameters final : public libvirt::Fields {
  public:
    void read(Reader& reader) {
        all_.clear();
        next_ = 0;
        for (auto left = reader.count(most_parameters, least_parameter); left > 0; --left)
            all_.push_back(take_parameter(reader));
    }
    std::optional<std::uint64_t> find(std::string_view name) const override {
        for (std::size_t steps = 0; steps < all_.size(); ++steps) {
            const Parameter& each = all_[(next_ + steps) % all_.size()];
            if (each.name != name) continue;
            next_ = (next_ + steps + 1) % all_.size();
            return each.value;
        }
        return std::nullopt;
    }

  private:
    std::vector<Parameter> all_;
    mutable std::size_t next_ = 0; ///< behind the one found last
};

/// Calls `take` with each domain of a bulk answer and its parameters.
template<class Take>
void each_record(Reader& answer, Take take) {
    Parameters parameters;
    for (auto left = answer.count(most_domains, least_record); left > 0; --left) {
        const Domain domain = take_domain(answer);
        parameters.read(answer);
        take(domain, parameters);
    }
    answer.expect_end();
}

template<class Value>
Value whole(const Reader& answer, Value value) {
    answer.expect_end();
    return value;
}

} // namespace

std::string uuid_text(const Uuid128& uuid) {
    std::string text = text::to_hex(uuid);
    for (const std::size_t at : {8u, 13u, 18u, 23u}) text.insert(at, 1, '-');
    return text;
}

Writer& operator<<(Writer& writer, const Domain& domain) {
    return writer.text(domain.name).raw(domain.uuid).number(domain.id);
}

std::vector<std::int32_t> auth_types(Reader answer) {
    std::vector<std::int32_t> types;
    for (auto left = answer.count(most_auth_types, 4); left > 0; --left)
        types.push_back(answer.signed_number());
    return whole(answer, std::move(types));
}

Domain domain(Reader answer) {
    auto found = take_domain(answer);
    return whole(answer, std::move(found));
}

std::vector<Domain> domains(Reader answer) {
    std::vector<Domain> all;
    for (auto left = answer.count(most_domains, least_domain); left > 0; --left)
        all.push_back(take_domain(answer));
    answer.number(); // how many there are, again
    return whole(answer, std::move(all));
}

RawState raw_state(Reader answer) {
    RawState raw;
    raw.state = answer.signed_number();
    raw.reason = answer.signed_number();
    return whole(answer, raw);
}

std::int32_t one_number(Reader answer) {
    const auto number = answer.signed_number();
    return whole(answer, number);
}

std::string one_text(Reader answer) {
    std::string text(answer.text());
    return whole(answer, std::move(text));
}

std::uint64_t info_memory(Reader answer) {
    answer.number(); // state
    const auto most = answer.wide();
    answer.wide();   // memory now
    answer.number(); // CPUs
    answer.wide();   // CPU time
    return whole(answer, most);
}

HostView node_info(Reader answer) {
    constexpr std::size_t model_size = 32 * 4; // characters, each a number
    answer.skip(model_size);
    const auto memory_kib = answer.wide();
    const auto cpus = answer.number();
    for (int detail = 0; detail < 5; ++detail) answer.number(); // MHz, nodes, sockets, cores, threads
    return whole(answer, HostView{memory_kib / 1024, cpus});
}

std::string agent_reply(Reader answer) {
    const auto reply = answer.optional_text();
    if (!reply) throw Surprise("an agent's reply is missing");
    return whole(answer, std::string(*reply));
}

std::vector<DomainState> stats_states(Reader answer) {
    std::vector<DomainState> all;
    each_record(answer, [&](const Domain& domain, const Parameters& parameters) {
        const auto state = parameters.find("state.state").value_or(0);
        auto power = libvirt::power_of(static_cast<int>(state),
                                       static_cast<int>(parameters.find("state.reason").value_or(0)));
        all.push_back({domain.name, power.state, std::move(power.reason)});
    });
    return all;
}

std::vector<DomainStats> stats_figures(Reader answer) {
    std::vector<DomainStats> all;
    each_record(answer, [&](const Domain& domain, const Parameters& parameters) {
        all.push_back(libvirt::figures_of(domain.name, uuid_text(domain.uuid), domain.id, parameters));
    });
    return all;
}

} // namespace blockhost::rpc
