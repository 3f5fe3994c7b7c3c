private import Bytes

extension Session {
    package enum QueueAnswer: Equatable, Sendable {
        case accepted(time: UInt64, qp: UInt64)
        /// Text and class of spec-qmail §3.2.
        case refused(isPermanent: Bool, text: String)
        /// There is no room for it now: RFC 5321 §4.2.3 has a code of its own for that, which qmail has not.
        case full(text: String)
        /// The queue went away. A message that was committed may be kept or not.
        case lost
    }

    static func reply(to answer: QueueAnswer) -> Reply {
        switch answer {
        case .accepted(let time, let qp): Reply(250, "2.0.0", "ok \(time) qp \(qp)")
        case .lost: reply(to: .refused(isPermanent: false, text: "qq temporary problem (#4.3.0)"))
        case .refused(let isPermanent, let text): refusal(isPermanent, text)
        case .full(let text): Reply(452, "4.3.1", text)
        }
    }

    private static func refusal(_ isPermanent: Bool, _ text: String) -> Reply {
        isPermanent ? Reply(554, status(in: text) ?? "5.3.0", text) : Reply(451, status(in: text) ?? "4.3.0", text)
    }

    /// qmail writes the status behind the text: `qq timeout (#4.3.0)`.
    private static func status(in text: String) -> String? {
        guard text.utf8.last == UInt8(ascii: ")"), let hash = text.utf8.lastIndex(of: ASCII.hash) else { return nil }
        let status = text.utf8[text.utf8.index(after: hash)...].dropLast()
        return status.count <= 11 && status.allSatisfy { $0.isDigit || $0 == ASCII.dot } ? String(status) : nil
    }
}
