private import Addresses
private import Bytes
private import Dates
internal import Frames
private import Posix

/// Shows messages as they come: a table for people, a line of fields behind tabs for each recipient in a pipe, or an object of JSON a line.
final class QueueTable {
    enum Form {
        case table
        case fields
        case json
    }

    private let form: Form
    private let includes: (Admin.Recipient) -> Bool
    private let now = unixTime()
    private var message: Admin.Message?
    private var shown = 0
    private var hidden = 0
    private(set) var messages = 0
    private(set) var recipients = 0
    /// Rows that wait for others, so that their columns can be aligned.
    private var rows: [[String]] = []
    private var widths: [Int] = []

    /// What was shown, in words.
    var counts: String { "\(Terminal.counted(messages, "message")), \(Terminal.counted(recipients, "recipient"))" }

    private static let rowsTogether = 500
    /// Of one message, on a terminal.
    private static let recipientsShown = 20
    private static let titles = ["ID", "AGE", "SIZE", "SENDER", "STATE", "NEXT", "RECIPIENT"]

    /// - Parameter includes: recipients that are of interest.
    init(isJSON: Bool, _ includes: @escaping (Admin.Recipient) -> Bool) {
        form = isJSON ? .json : Terminal.isOutput ? .table : .fields
        self.includes = includes
    }

    func take(_ answer: Admin.Answer) {
        switch answer {
        case .message(let next): begin(next)
        case .recipients(let some): for recipient in some where includes(recipient) { add(recipient) }
        default: break
        }
    }

    func finish() {
        endMessage()
        flush()
    }

    private func begin(_ next: Admin.Message) {
        endMessage()
        message = next
        (shown, hidden) = (0, 0)
        messages += 1
        if form == .json { print(jsonHead(next), terminator: "") }
    }

    private func endMessage() {
        guard message != nil else { return }
        if form == .json { print("]}") }
        if hidden > 0 { rows.append(["", "", "", "", "", "", Terminal.styled("… and \(hidden) more", .faint)]) }
        message = nil
    }

    private func add(_ recipient: Admin.Recipient) {
        guard let message else { return }
        recipients += 1
        shown += 1
        switch form {
        case .json: print((shown > 1 ? "," : "") + QueueTable.json(recipient), terminator: "")
        case .fields: print(fields(message, recipient).joined(separator: "\t"))
        case .table:
            guard shown <= Self.recipientsShown else {
                hidden += 1
                return
            }
            rows.append(row(message, recipient))
            if rows.count >= Self.rowsTogether { flush() }
        }
    }

    static func state(_ message: Admin.Message, _ recipient: Admin.Recipient) -> String {
        switch recipient.state {
        case .waiting: message.isHeld ? "held" : "waiting"
        case .underWay: "under way"
        case .delivered: "delivered"
        case .failed: "failed"
        case .removed: "removed"
        }
    }

    // MARK: The table

    private func row(_ message: Admin.Message, _ recipient: Admin.Recipient) -> [String] {
        let next = message.next(recipient.channel)
        let due = recipient.state != .waiting || message.isHeld ? "" : next > now ? Age(seconds: next - now).text : "now"
        let relay = recipient.relay.isEmpty ? "" : " via \(Terminal.visible(recipient.relay))"
        let head =
            shown > 1
            ? ["", "", "", ""]
            : [
                "\(message.id)", Age(seconds: now > message.birth ? now - message.birth : 0).text, "\(message.size)",
                "<\(Terminal.visible(message.sender.bytes))>",
            ]
        return head + [QueueTable.state(message, recipient), due, "\(recipient.channel) \(Terminal.visible(recipient.address.bytes))\(relay)"]
    }

    private func flush() {
        guard !rows.isEmpty else { return }
        if widths.isEmpty {
            widths = Self.titles.map(\.count)
            fit(rows)
            print(Terminal.styled(aligned(Self.titles), .bold))
        } else {
            fit(rows)
        }
        for row in rows {
            let line = aligned(row)
            print(row[4] == "held" ? Terminal.styled(line, .yellow) : row[4] == "failed" ? Terminal.styled(line, .red) : line)
        }
        rows = []
    }

    private func fit(_ rows: [[String]]) {
        for row in rows { for (column, text) in row.enumerated() { widths[column] = max(widths[column], text.count) } }
    }

    private func aligned(_ row: [String]) -> String {
        let cells = row.enumerated().map { column, text in
            let gap = String(repeating: " ", count: max(0, widths[column] - text.count))
            return column == 6 ? text : column < 3 || column == 5 ? gap + text : text + gap
        }
        return cells.joined(separator: "  ")
    }

    // MARK: For programs

    private func fields(_ message: Admin.Message, _ recipient: Admin.Recipient) -> [String] {
        [
            "\(message.id)", "\(message.birth)", "\(message.size)", Terminal.visible(message.sender.bytes), QueueTable.state(message, recipient),
            "\(message.next(recipient.channel))", "\(recipient.channel)", Terminal.visible(recipient.address.bytes),
            Terminal.visible(recipient.relay),
        ]
    }

    private func jsonHead(_ message: Admin.Message) -> String {
        JSON.object(QueueTable.members(message)).dropLast() + ",\"recipients\":["
    }

    static func members(_ message: Admin.Message) -> [(String, String)] {
        [
            ("id", "\(message.id)"), ("birth", "\(message.birth)"), ("size", "\(message.size)"),
        ] + JSON.members("sender", message.sender.bytes) + [
            ("held", "\(message.isHeld)"), ("bouncing", "\(message.isBouncing)"), ("nextLocal", "\(message.nextLocal)"),
            ("nextRemote", "\(message.nextRemote)"),
        ]
    }

    static func json(_ recipient: Admin.Recipient, text: [UInt8]? = nil) -> String {
        var members = [("channel", "\"\(recipient.channel)\""), ("state", "\"\(recipient.state)\"")]
        members += JSON.members("address", recipient.address.bytes)
        if !recipient.relay.isEmpty { members += JSON.members("relay", recipient.relay) }
        if let text { members.append(("text", JSON.quoted(text.text))) }
        return JSON.object(members)
    }
}
