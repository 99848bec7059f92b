#include "smtpd/supervisor/table_files.h"

#include <sys/stat.h>

namespace postern {

namespace {

// conninfo of PostgreSQL may have one as "password=", or in a URI.
bool has_password(const ExternalTable& table) {
    return !table.password.empty() || (table.backend == TableBackend::postgresql &&
                                       (table.location.find("pass") != std::string::npos ||
                                        table.location.find('@') != std::string::npos));
}

} // namespace

Result<void> check_table_files(const Configuration& configuration) {
    for (const auto& [name, table] : configuration.external_tables) {
        struct stat status;
        if (!has_password(table))
            continue;
        if (::stat(table.file.c_str(), &status) != 0)
            return system_error(table.file);
        if (status.st_mode & S_IROTH)
            return Error{table.file + ": it has a password, and others may read it (chmod o-r)"};
    }
    return {};
}

} // namespace postern
