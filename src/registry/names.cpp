// Names and statuses by a parser that builds no tree.
#include "registry/names.hpp"

#include "base/files.hpp"
#include "model/names.hpp"

#include <boost/json/basic_parser_impl.hpp>

namespace blockhost {

namespace {

namespace bj = boost::json;

/// Follows the document: {"vms": {NAME: {"status": STATUS}}}.
class Glance {
  public:
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

    std::vector<std::pair<std::string, RecordStatus>> found;

    bool on_document_begin(bj::error_code&) { return true; }
    bool on_document_end(bj::error_code&) { return true; }
    bool on_object_begin(bj::error_code&) {
        ++depth_;
        return true;
    }
    bool on_object_end(std::size_t, bj::error_code&) {
        if (depth_ == record_depth && in_vms_ && known_) found.emplace_back(name_, status_);
        if (depth_ == record_depth) known_ = false;
        --depth_;
        return true;
    }
    bool on_array_begin(bj::error_code&) {
        ++depth_;
        return true;
    }
    bool on_array_end(std::size_t, bj::error_code&) {
        --depth_;
        return true;
    }
    bool on_key_part(bj::string_view part, std::size_t, bj::error_code&) { return gather(part); }
    bool on_key(bj::string_view part, std::size_t, bj::error_code&) {
        gather(part);
        if (depth_ == 1) in_vms_ = gathered_ == "vms", name_.clear();
        if (depth_ == 2) name_ = gathered_;
        at_status_ = depth_ == record_depth && in_vms_ && gathered_ == "status";
        gathered_.clear();
        return true;
    }
    bool on_string_part(bj::string_view part, std::size_t, bj::error_code&) { return gather(part); }
    bool on_string(bj::string_view part, std::size_t, bj::error_code&) {
        gather(part);
        if (at_status_ && depth_ == record_depth) note_status();
        gathered_.clear();
        return true;
    }
    bool on_number_part(bj::string_view, bj::error_code&) { return true; }
    bool on_int64(std::int64_t, bj::string_view, bj::error_code&) { return true; }
    bool on_uint64(std::uint64_t, bj::string_view, bj::error_code&) { return true; }
    bool on_double(double, bj::string_view, bj::error_code&) { return true; }
    bool on_bool(bool, bj::error_code&) { return true; }
    bool on_null(bj::error_code&) { return true; }
    bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
    bool on_comment(bj::string_view, bj::error_code&) { return true; }

  private:
    static constexpr int record_depth = 3;

    bool gather(bj::string_view part) {
        gathered_.append(part.data(), part.size());
        return true;
    }
    void note_status() {
        const auto status = record_status(gathered_);
        known_ = status && VmName::try_parse(name_);
        if (known_) status_ = *status;
    }

    int depth_ = 0;
    bool in_vms_ = false, at_status_ = false, known_ = false;
    std::string gathered_, name_;
    RecordStatus status_ = RecordStatus::active;
};

} // namespace

std::optional<std::vector<std::pair<std::string, RecordStatus>>>
names_at_a_glance(const std::filesystem::path& file) {
    auto text = files::read(file);
    if (!text) return std::nullopt;
    bj::basic_parser<Glance> parser{bj::parse_options()};
    bj::error_code failure;
    const std::size_t read = parser.write_some(false, text->data(), text->size(), failure);
    const bool whole =
        !failure && text->find_first_not_of(" \t\r\n", read) == std::string::npos && parser.done();
    if (!whole) return std::nullopt;
    return std::move(parser.handler().found);
}

} // namespace blockhost
