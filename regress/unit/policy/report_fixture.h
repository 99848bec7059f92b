// What tests of reports on TLS have in common.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <zlib.h>

#include "common/ipc/resolution.h"
#include "common/ipc/transport_policy.h"

namespace postern::policy {

// The answer of the DNS that there is one TXT record.
inline ipc::ResolveAnswer text_answer(const std::string& record) {
    ipc::ResolveAnswer answer;
    answer.status = ipc::ResolveStatus::ok;
    answer.records.emplace_back().data = record;
    return answer;
}

inline ipc::SessionResult session(ipc::TlsResult result = ipc::TlsResult::success) {
    ipc::SessionResult session;
    session.domain = "d.example";
    session.type = ipc::PolicyType::sts;
    session.policy = {"version: STSv1", "mode: enforce", "mx: *.d.example", "max_age: 86400"};
    session.mx = {"*.d.example"};
    session.result = result;
    session.exchanger = "mx.d.example";
    session.receiving = *IpAddress::parse("192.0.2.1");
    session.sending = *IpAddress::parse("2001:db8::1");
    if (result != ipc::TlsResult::success)
        session.reason = "certificate has expired";
    return session;
}

inline std::string unzipped(const std::string& bytes) {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    std::string out(4'000'000, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    inflateEnd(&stream);
    return out;
}

// A directory that goes with the test.
class TestDirectory {
  public:
    TestDirectory() : path_(std::filesystem::temp_directory_path() / "postern-reports.XXXXXX") {
        EXPECT_NE(mkdtemp(path_.data()), nullptr);
    }
    ~TestDirectory() { std::filesystem::remove_all(path_); }
    TestDirectory(const TestDirectory&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

} // namespace postern::policy
