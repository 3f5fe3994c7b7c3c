private import Addresses
internal import ArgumentParser
private import Bytes
private import Dates
private import Frames
private import Glibc
private import Posix

extension Queue {
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one message: its envelope, what the last attempts said, its header.",
            discussion: "What attempts said that failed for now is known since the queue was started, and of the last \(10_000) of them.")

        @Argument(help: "The id of the message.")
        var id: UInt64

        @Flag(help: "Write the message itself, whole, and nothing else.")
        var content = false

        @Flag(help: "One JSON object.")
        var json = false

        /// A header that is larger is cut.
        private static let maxHeaderBytes: UInt64 = 256 << 10

        func run() throws {
            let queue = try QueueConnection()
            if content { return try writeContent(queue) }
            var exhibit = try look(queue, Self.maxHeaderBytes)
            // Who may not read messages may still see the envelope.
            if exhibit.message == nil, exhibit.refusal != nil { exhibit = try look(queue, 0) }
            if exhibit.isMissing { throw Complaint("no message \(id) is in the queue") }
            guard let message = exhibit.message else { throw Complaint(exhibit.refusal ?? "the queue did not answer") }
            print(json ? exhibit.json(message) : exhibit.text(message))
            if let refusal = exhibit.refusal { throw Complaint(refusal) }
        }

        private func look(_ queue: QueueConnection, _ bytes: UInt64) throws(Complaint) -> Exhibit {
            var exhibit = Exhibit()
            try queue.ask(.show(id: id, contentBytes: bytes)) { exhibit.take($0) }
            return exhibit
        }

        private func writeContent(_ queue: QueueConnection) throws {
            var complaint: String?
            try queue.ask(.show(id: id, contentBytes: .max)) { answer in
                switch answer {
                case .content(let bytes): Terminal.write(bytes, to: STDOUT_FILENO)
                case .missing(let id): complaint = "no message \(id) is in the queue"
                case .refused(let why): complaint = why.text
                default: break
                }
            }
            if let complaint { throw Complaint(complaint) }
        }
    }
}

/// All that the queue says of one message.
private struct Exhibit {
    private(set) var message: Admin.Message?
    private(set) var refusal: String?
    private(set) var isMissing = false
    private var recipients: [Admin.Recipient] = []
    private var texts: [UInt64: [UInt8]] = [:]
    private var content: [UInt8] = []

    mutating func take(_ answer: Admin.Answer) {
        switch answer {
        case .message(let found): message = found
        case .recipients(let some): recipients += some
        case .text(let recipient, let text): texts[recipient] = text
        case .content(let bytes): content += bytes
        case .refused(let why): refusal = why.text
        case .missing: isMissing = true
        case .counts, .progress, .end: break
        }
    }

    /// Up to the empty line.
    private var header: [UInt8] {
        var previous = ASCII.lf
        for (index, byte) in content.enumerated() {
            if byte == ASCII.lf, previous == ASCII.lf { return Array(content[..<index]) }
            previous = byte
        }
        return content
    }

    func text(_ message: Admin.Message) -> String {
        var lines = [
            "message   \(message.id)", "sender    <\(Terminal.visible(message.sender.bytes))>",
            "accepted  \(MailDate(message.birth).dateAndTime) GMT",
            "size      \(message.size) bytes",
        ]
        if message.isHeld { lines.append(Terminal.styled("held", .yellow)) }
        for channel in Channel.allCases where recipients.contains(where: { $0.channel == channel && !$0.isDone }) {
            let name = "\(channel)".padded(to: 10)
            lines.append("\(name)next attempt \(MailDate(message.next(channel)).dateAndTime) GMT")
        }
        for (number, recipient) in recipients.enumerated() {
            let relay = recipient.relay.isEmpty ? "" : " via \(Terminal.visible(recipient.relay))"
            let state = QueueTable.state(message, recipient).padded(to: 12)
            lines.append("\n\(state)\(recipient.channel) \(Terminal.visible(recipient.address.bytes))\(relay)")
            for line in texts[UInt64(number)]?.split(separator: ASCII.lf) ?? [] { lines.append("    \(Terminal.visible(line))") }
        }
        let header = header.split(separator: ASCII.lf).map { Terminal.visible($0) }
        return (lines + (header.isEmpty ? [] : [""] + header)).joined(separator: "\n")
    }

    func json(_ message: Admin.Message) -> String {
        let list = recipients.enumerated().map { QueueTable.json($1, text: texts[UInt64($0)]) }
        return JSON.object(
            QueueTable.members(message) + [("recipients", "[\(list.joined(separator: ","))]"), ("header", JSON.quoted(header.text))])
    }
}
