#pragma once
/// The two interfaces behind which a hypervisor stands: Observer looks, Hypervisor also changes.
///
/// The libvirt driver is a module with its own copy of the C++ runtime, so no exception crosses this
/// interface: each public function calls a private `do_…` that reports a Failure as a value, and throws it on
/// the caller's side. Only plain structs cross. XML is text here; domain_xml.hpp reads and writes it, on the
/// caller's side too.

#include "base/error.hpp"
#include "hypervisor/figures.hpp"
#include "model/vm.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

/// How a call went, as a value. `failed` false: it went well.
struct Failure {
    bool failed = false;
    Code code = Code::internal;
    std::string message, hint;
    void raise() const {
        if (failed) throw Error(code, message, hint);
    }
};

/// A domain by name: what the bulk state call shows.
struct DomainState {
    std::string name; ///< as libvirt spells it; need not be a VmName
    PowerState state = PowerState::unknown;
};

/// What a domain may take of the host.
struct DomainUse {
    std::string name;
    std::uint64_t memory_mib = 0;
    std::string metadata; ///< XML that has our mark, if the domain is marked; see read_mark
};

/// A domain in full.
struct DomainView {
    std::string name, uuid;
    PowerState state = PowerState::unknown;
    std::string reason; ///< libvirt's reason of the state, in words ("booted", "panicked"); may be empty
    std::string xml;    ///< the persistent definition where there is one, else the live one
    bool persistent = true;
};

struct VolumeView {
    std::string path;
    std::uint64_t capacity_bytes = 0, allocation_bytes = 0;
};

struct PoolView {
    std::string name;
    std::string path; ///< the target folder
    std::string xml;  ///< the definition
    bool active = false;
    std::uint64_t capacity_bytes = 0, available_bytes = 0;
};

struct HostView {
    std::uint64_t memory_mib = 0;
    unsigned cpus = 0;
};

/// What a wait ended with.
enum class Wake { lifecycle, agent_connected, agent_disconnected, timeout };

/// How long this thread has spent in calls of the interfaces below. A call that makes others counts once.
class AskingTime {
  public:
    AskingTime() { ++depth; }
    ~AskingTime() {
        if (--depth == 0) spent += std::chrono::steady_clock::now() - began_;
    }
    AskingTime(const AskingTime&) = delete;
    AskingTime& operator=(const AskingTime&) = delete;
    static inline thread_local std::chrono::nanoseconds spent{};

    /// Time within a call that does not count.
    class Pause {
      public:
        Pause() = default;
        Pause(const Pause&) = delete;
        Pause& operator=(const Pause&) = delete;
        ~Pause() { spent -= std::chrono::steady_clock::now() - began_; }

      private:
        const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    };

  private:
    static inline thread_local int depth = 0;
    const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};
inline std::chrono::nanoseconds time_asking() {
    return AskingTime::spent;
}

/// Looking. No call changes anything; each has a deadline (10 s at most before Error{no_answer}).
class Observer {
  public:
    virtual ~Observer() = default;

    /// The state alone; nothing when libvirt says there is no such domain.
    std::optional<PowerState> state(const std::string& name) {
        return raised<std::optional<PowerState>>([&](Failure& f) { return do_state(name, f); });
    }
    std::optional<DomainView> find(const std::string& name) {
        return raised<std::optional<DomainView>>([&](Failure& f) { return do_find(name, f); });
    }
    /// The definitions of a domain beside the one that find() shows: what it runs with, and what it was saved
    /// with. Empty for one that is off and not saved, and for one that does not exist.
    std::vector<std::string> other_definitions(const std::string& name) {
        return raised<std::vector<std::string>>([&](Failure& f) { return do_other_definitions(name, f); });
    }
    /// All domains, one call.
    std::vector<DomainState> states() {
        return raised<std::vector<DomainState>>([&](Failure& f) { return do_states(f); });
    }
    /// A hint that states() comes next: where it can, libvirt is put to work already. Whatever goes wrong
    /// shows in states().
    void expect_states() { do_expect_states(); }
    /// What every domain, running or not, may take.
    std::vector<DomainUse> uses() {
        return raised<std::vector<DomainUse>>([&](Failure& f) { return do_uses(f); });
    }
    std::optional<PoolView> find_pool(const std::string& name);
    /// A volume by its path. Nothing when an active pool holds its folder and knows no such volume, or when
    /// there is no such file; Error{hypervisor} when there is a file but no active pool that could answer for
    /// it.
    std::optional<VolumeView> find_volume(const std::string& path) {
        return raised<std::optional<VolumeView>>([&](Failure& f) { return do_find_volume(path, f); });
    }
    HostView host() {
        return raised<HostView>([&](Failure& f) { return do_host(f); });
    }
    /// One guest agent command and its reply text. `seconds` bounds the agent's answer and, before it, the
    /// hypervisor's own greeting of the agent. Throws Error{guest} when no agent is connected or it does not
    /// answer (the message has "is not responding" in it), when it refuses, and when its reply is larger than
    /// the hypervisor takes (4 MiB); Error{wrong_state} when the domain does not run. A command of more than
    /// some 200 KiB never arrives.
    /// `limit`, when given, ends the call whatever libvirt waits for (its own greeting, other conversations
    /// with the same agent); a call that it ended leaves this connection without answers: Error{no_answer}.
    std::string agent(const std::string& name, const std::string& command, int seconds,
                      std::optional<std::chrono::milliseconds> limit = {}) {
        return raised<std::string>([&](Failure& f) { return do_agent(name, command, seconds, limit, f); });
    }
    /// The figures of the domains named (those that do not exist are left out), or of all when `names` is
    /// empty, in one call. A domain whose QEMU is busy or hangs need not answer: `complete` is false then.
    /// A call that `limit` ended leaves this connection without answers: Error{no_answer}.
    std::vector<DomainStats> stats(const std::vector<std::string>& names, std::chrono::milliseconds limit) {
        return raised<std::vector<DomainStats>>([&](Failure& f) { return do_stats(names, limit, f); });
    }
    /// The limits of a domain. Fields that this host cannot tell, and those of devices that it does not have,
    /// stay empty. Error{not_found}; Error{wrong_state} for the running ones of a domain that is off, and for
    /// the definition of one that has none.
    Tuning tuning(const std::string& name, TuningOf which);
    /// Waits for the next event of that domain since watch() or the last wait(); never longer than `span`.
    void watch(const std::string& name) {
        raised_void([&](Failure& f) { do_watch(name, f); });
    }
    Wake wait(std::chrono::milliseconds span) {
        return raised<Wake>([&](Failure& f) { return do_wait(span, f); });
    }

  protected:
    /// Error{not_found}.
    TunedDevices devices_of(const std::string& name);
    template<class T, class Call>
    static T raised(Call call) {
        const AskingTime counted;
        Failure f;
        T result = call(f);
        f.raise();
        return result;
    }
    template<class Call>
    static void raised_void(Call call) {
        const AskingTime counted;
        Failure f;
        call(f);
        f.raise();
    }

  private:
    virtual std::optional<PowerState> do_state(const std::string& name, Failure& f) noexcept = 0;
    virtual std::optional<DomainView> do_find(const std::string& name, Failure& f) noexcept = 0;
    virtual std::vector<std::string> do_other_definitions(const std::string& name, Failure& f) noexcept = 0;
    virtual std::vector<DomainState> do_states(Failure& f) noexcept = 0;
    virtual void do_expect_states() noexcept {}
    virtual std::vector<DomainUse> do_uses(Failure& f) noexcept = 0;
    virtual std::optional<PoolView> do_find_pool(const std::string& name, Failure& f) noexcept = 0;
    virtual std::optional<VolumeView> do_find_volume(const std::string& path, Failure& f) noexcept = 0;
    virtual HostView do_host(Failure& f) noexcept = 0;
    virtual std::string do_agent(const std::string& name, const std::string& command, int seconds,
                                 std::optional<std::chrono::milliseconds> limit, Failure& f) noexcept = 0;
    virtual std::vector<DomainStats> do_stats(const std::vector<std::string>& names,
                                              std::chrono::milliseconds limit, Failure& f) noexcept = 0;
    virtual Tuning do_tuning(const std::string& name, const TunedDevices& devices, TuningOf which,
                             Failure& f) noexcept = 0;
    virtual void do_watch(const std::string& name, Failure& f) noexcept = 0;
    virtual Wake do_wait(std::chrono::milliseconds span, Failure& f) noexcept = 0;
};

/// Changing. Every call may be repeated: where the wished-for end is already there, it succeeds without doing
/// anything (start of a running domain, power_off and shutdown of one that is off, power_off and undefine of
/// an absent one, delete of an absent volume). start, unpause and shutdown of a domain that does not exist
/// are Error{not_found}. Each call has a deadline (2 minutes at most); libvirt may still carry out one that
/// was given up.
class Hypervisor : public Observer {
  public:
    /// Defines, builds, starts and autostarts a dir pool; leaves an existing one of that name alone when its
    /// target path is `path`, and throws Error{config} when it is another.
    void ensure_pool(const std::string& name, const std::string& path);
    /// Makes or updates a network filter from its XML. Error{exists} when a filter of that name has another
    /// uuid.
    void ensure_filter(const std::string& name, const std::string& xml) {
        raised_void([&](Failure& f) { do_ensure_filter(name, xml, f); });
    }
    /// Makes a volume from volume XML in pool `pool`. Error{exists} when the name is taken. Never refreshes
    /// the pool.
    VolumeView create_volume(const std::string& pool, const std::string& xml) {
        return raised<VolumeView>([&](Failure& f) { return do_create_volume(pool, xml, f); });
    }
    /// Deletes the volume at exactly that path. One that came to be behind libvirt's back is found by
    /// refreshing its pool once, and only then; Error{hypervisor} when a file is there that no active pool
    /// knows.
    void delete_volume(const std::string& path) {
        raised_void([&](Failure& f) { do_delete_volume(path, f); });
    }
    /// Defines a persistent domain. Error{exists} when another domain has its name or uuid.
    void define(const std::string& xml) {
        raised_void([&](Failure& f) { do_define(xml, f); });
    }
    /// Error{wrong_state} when it is paused: that wants unpause().
    void start(const std::string& name) {
        raised_void([&](Failure& f) { do_start(name, f); });
    }
    /// Starts a domain that is never defined: it is gone when it stops, and the hypervisor stops it when this
    /// connection ends, however that ends. Error{exists} when another domain has its name or uuid.
    void start_transient(const std::string& xml) {
        raised_void([&](Failure& f) { do_start_transient(xml, f); });
    }
    /// Error{wrong_state} when it neither is paused nor runs.
    void unpause(const std::string& name) {
        raised_void([&](Failure& f) { do_unpause(name, f); });
    }
    /// Presses the ACPI power button; returns when that has been sent.
    void shutdown(const std::string& name) {
        raised_void([&](Failure& f) { do_shutdown(name, f); });
    }
    /// Returns when the domain is seen off (or gone, if it was transient).
    void power_off(const std::string& name) {
        raised_void([&](Failure& f) { do_power_off(name, f); });
    }
    /// With managed save image, snapshot and checkpoint metadata, and nvram.
    void undefine(const std::string& name) {
        raised_void([&](Failure& f) { do_undefine(name, f); });
    }
    /// Sets the fields of `wanted` that belong to one subsystem and are given (CPU: shares, period, quota;
    /// network; disk) in one call; the others are left alone. Error{not_found}; Error{wrong_state} as
    /// tuning(), and for a device that it does not have.
    enum class Subsystem { cpu, network, disk };
    void tune(const std::string& name, Subsystem subsystem, const Tuning& wanted, TuningOf which);
    /// Writes our metadata element (its XML, or empty: removes it) into the definition and, where it runs,
    /// the running domain.
    void set_metadata(const std::string& name, const std::string& xml) {
        raised_void([&](Failure& f) { do_set_metadata(name, xml, f); });
    }
    /// Stops and undefines it; folder and files stay.
    void remove_pool(const std::string& name) {
        raised_void([&](Failure& f) { do_remove_pool(name, f); });
    }
    void remove_filter(const std::string& name) {
        raised_void([&](Failure& f) { do_remove_filter(name, f); });
    }

  private:
    /// `xml`: the definition to use where there is none of that name yet.
    virtual void do_ensure_pool(const std::string& name, const std::string& xml, Failure& f) noexcept = 0;
    virtual void do_ensure_filter(const std::string& name, const std::string& xml, Failure& f) noexcept = 0;
    virtual VolumeView do_create_volume(const std::string& pool, const std::string& xml,
                                        Failure& f) noexcept = 0;
    virtual void do_delete_volume(const std::string& path, Failure& f) noexcept = 0;
    virtual void do_define(const std::string& xml, Failure& f) noexcept = 0;
    virtual void do_start(const std::string& name, Failure& f) noexcept = 0;
    virtual void do_start_transient(const std::string& xml, Failure& f) noexcept = 0;
    virtual void do_unpause(const std::string& name, Failure& f) noexcept = 0;
    virtual void do_shutdown(const std::string& name, Failure& f) noexcept = 0;
    virtual void do_power_off(const std::string& name, Failure& f) noexcept = 0;
    virtual void do_undefine(const std::string& name, Failure& f) noexcept = 0;
    virtual void do_tune(const std::string& name, const TunedDevices& devices, Subsystem subsystem,
                         const Tuning& wanted, TuningOf which, Failure& f) noexcept = 0;
    virtual void do_set_metadata(const std::string& name, const std::string& xml, Failure& f) noexcept = 0;
    virtual void do_remove_pool(const std::string& name, Failure& f) noexcept = 0;
    virtual void do_remove_filter(const std::string& name, Failure& f) noexcept = 0;
};

} // namespace blockhost
