// What was counted for reports on TLS, on disk: what ends with the process, or the machine, would
// be told to nobody.
//
// Owner: policy; beside its policies. ".tls-today" is what is being counted. What is over and has
// to be told is ".tls-ID", a batch, and of that ".tls-ID.told" is who knows it already, a line
// each. A file that is damaged becomes ".tls-damaged", instead of the one before. Nothing here is
// more than `file_limit` octets long. Waits for the disk: some 300 octets a domain, at most once a
// minute; for who knows it at most once in five seconds.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"
#include "smtpd/policy/tls_json.h"

namespace postern::policy {

class ReportStore {
  public:
    static constexpr std::string_view prefix = ".tls-"; // of all names here
    static constexpr size_t file_limit = 64 * 1024 * 1024;

    explicit ReportStore(FileDescriptor directory) : directory_(std::move(directory)) {}

    struct Waiting {
        Batch batch;                                       // without the domains that are done with
        std::map<std::string, std::set<std::string>> told; // by domain: the places that know it
    };
    struct Found {
        // Without what a batch that waits has of it too: it was taken out of it, when the process
        // ended halfway. `id` is empty then, being that of the batch.
        std::optional<Batch> today;
        std::vector<Waiting> waiting;
    };
    // What cannot be read is not there, with a word in the log.
    Found read();

    Result<void> write_today(const Batch& batch);
    // What was written last is over. An error if there is a batch with this id, as with write().
    Result<void> end_today(const std::string& id);
    void forget_today();

    Result<void> write(const Batch& batch);
    // A place knows of the domain; "": no more places have to. It is on disk after sync_told().
    Result<void> tell(const std::string& id, const std::string& domain, const std::string& place);
    Result<void> sync_told(const std::string& id);
    void remove(const std::string& id);

  private:
    bool is_there(const std::string& id) const;
    std::optional<Batch> read_batch(const std::string& name);
    void read_told(Waiting& waiting);

    FileDescriptor directory_;
    std::set<std::string> new_told_; // ids whose file of marks is not in the directory on disk
};

} // namespace postern::policy
