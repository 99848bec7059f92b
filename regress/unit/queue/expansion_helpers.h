// What tests of expansions share: those in a recipient's place, and how lookup and deliverers name
// them.
#pragma once

#include <algorithm>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "queue/expansion.h"
#include "regress/unit/queue/queue_lab.h"

namespace postern::test {

using ipc::ExpandedRecipient;
using ipc::TargetKind;

inline ExpandedRecipient to(const std::string& recipient, const std::string& owner = "") {
    ExpandedRecipient one;
    one.recipient = recipient;
    one.owner = owner;
    return one;
}

inline ExpandedRecipient to_target(const std::string& recipient, TargetKind kind,
                                   const std::string& text) {
    ExpandedRecipient one = to(recipient);
    one.target.emplace();
    one.target->kind = kind;
    one.target->text = text;
    return one;
}

// Others are in the place of "list@here.example".
inline std::function<ipc::RouteAnswer(const ipc::RouteQuery&)>
with_list(std::vector<ExpandedRecipient> others) {
    return [others = std::move(others)](const ipc::RouteQuery& query) {
        if (query.recipient != "list@here.example" || query.target)
            return to_exchanger(query);
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::expanded);
        answer.expanded = others;
        return answer;
    };
}

// Recipients that were handed out, with their reverse-paths, in order.
inline std::vector<std::string> all_handed(const QueueLab& lab) {
    std::vector<std::string> all;
    for (const Handed& handed : lab.all_handed)
        for (const std::string& recipient : handed.recipients())
            all.push_back(handed.deliver.reverse_path + " " + recipient);
    std::sort(all.begin(), all.end());
    return all;
}

// A large message that the queue has accepted: its content.
inline std::string accept_large(QueueLab& lab, const std::string& recipient) {
    lab.files.sync_failure = 0;
    ipc::ContentFileRequest request;
    request.request = 77;
    EXPECT_TRUE(lab.queue->intake().handle(0, request));
    lab.run();
    std::string content = "Subject: large\r\n\r\n";
    for (int i = 0; content.size() < 3'000'000; ++i)
        content += "line " + std::to_string(i) + "\r\n";
    lab.queue->intake().set_size_limit(content.size());
    auto& file = std::get<ipc::ContentFile>(lab.answers.at(77));
    EXPECT_EQ(::pwrite(file.file.get(), content.data(), content.size(), 0),
              static_cast<ssize_t>(content.size()));
    ipc::Submit submit;
    submit.request = 77;
    submit.envelope.reverse_path = "a@from.example";
    submit.envelope.recipients = {recipient};
    submit.file_length = content.size();
    submit.file_checksum = crc32c(content);
    EXPECT_TRUE(lab.queue->intake().handle(0, std::move(submit)));
    lab.advance(1s);
    return content;
}

// What a deliverer was given, in whatever way.
inline std::string content_of(const ipc::Deliver& deliver) {
    if (deliver.file.empty())
        return deliver.content.bytes;
    std::string got(deliver.file_length, '\0');
    EXPECT_EQ(::pread(deliver.file[0].get(), got.data(), got.size(),
                      static_cast<off_t>(deliver.file_offset)),
              static_cast<ssize_t>(got.size()));
    return got;
}

// Everybody's mail is stored, or forwarded.
inline std::function<ipc::RouteAnswer(const ipc::RouteQuery&)> local() {
    return [](const ipc::RouteQuery& query) {
        if (!query.recipient.ends_with("@here.example"))
            return to_exchanger(query);
        ipc::RouteAnswer answer = verdict(query, ipc::RouteVerdict::accepted);
        answer.route.kind = ActionKind::maildir;
        answer.route.action = "box";
        answer.route.user = query.recipient.substr(0, query.recipient.find_first_of("+@"));
        return answer;
    };
}

inline ipc::RecipientOutcome forwarded(std::vector<ipc::Target> targets) {
    ipc::RecipientOutcome outcome = delivered();
    outcome.status = ipc::RecipientStatus::forwarded;
    outcome.targets = std::move(targets);
    return outcome;
}

inline ipc::Target target(TargetKind kind, const std::string& text) {
    ipc::Target target;
    target.kind = kind;
    target.text = text;
    return target;
}

// The final recipients that reports have with this status, in order.
inline std::vector<std::string> recipients_reported(const std::string& reports,
                                                    const std::string& status) {
    const std::string field = "Final-Recipient: rfc822; ";
    std::vector<std::string> all;
    for (size_t at = reports.find(field); at != std::string::npos; at = reports.find(field, at)) {
        at += field.size();
        const std::string fields = reports.substr(at, reports.find("\r\n\r\n", at) - at);
        if (fields.find("\r\nStatus: " + status + "\r\n") != std::string::npos)
            all.push_back(fields.substr(0, fields.find("\r\n")));
    }
    std::sort(all.begin(), all.end());
    return all;
}

} // namespace postern::test
