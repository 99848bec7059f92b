// Tables in CDB files (D. J. Bernstein's constant data base), as cdb(1) of tinycdb makes them. A
// file that was put in the place of another is noticed at the next question.
#include <cdb.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/base/file_descriptor.h"
#include "smtpd/tables/backend.h"

namespace postern::tables {

namespace {

class Cdb final : public Backend {
  public:
    explicit Cdb(const ExternalTable& table) : path_(table.location) {}
    ~Cdb() override { close(); }

    Result<void> connect() override;
    bool connected() const override;
    Result<std::vector<Row>> find(TableService service, const std::string& key) override;

  private:
    void close() {
        if (file_)
            cdb_free(&cdb_);
        file_.reset();
    }

    std::string path_;
    FileDescriptor file_;
    cdb cdb_{};
    struct stat status_ {};
};

Result<void> Cdb::connect() {
    close();
    FileDescriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file || ::fstat(file.get(), &status_) != 0)
        return system_error(path_);
    if (!S_ISREG(status_.st_mode))
        return Error{path_ + ": not a regular file"};
    if (cdb_init(&cdb_, file.get()) != 0) // maps it
        return Error{path_ + ": not a CDB file"};
    file_ = std::move(file);
    return {};
}

bool Cdb::connected() const {
    struct stat now;
    return file_ && ::stat(path_.c_str(), &now) == 0 && now.st_dev == status_.st_dev &&
           now.st_ino == status_.st_ino && now.st_size == status_.st_size &&
           now.st_mtim.tv_sec == status_.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == status_.st_mtim.tv_nsec;
}

Result<std::vector<Row>> Cdb::find(TableService, const std::string& key) {
    const int found = cdb_find(&cdb_, key.data(), static_cast<unsigned>(key.size()));
    if (found < 0)
        return Error{path_ + ": damaged"};
    if (found == 0)
        return std::vector<Row>();
    std::string value(cdb_datalen(&cdb_), '\0');
    if (value.size() > (1u << 20) ||
        cdb_read(&cdb_, value.data(), static_cast<unsigned>(value.size()), cdb_datapos(&cdb_)) != 0)
        return Error{path_ + ": damaged, or a value is too long"};
    return std::vector<Row>{{std::move(value)}};
}

} // namespace

std::unique_ptr<Backend> make_cdb(const ExternalTable& table) {
    return std::make_unique<Cdb>(table);
}

} // namespace postern::tables
